/** What is lost at once with a host, or a zone, however well the nodes were placed? Pure. */
import {formatAddress} from '../topology/model.ts'
import type {PlaceableNode, PlacedShard} from './placement.ts'

type DomainOf = (node: PlaceableNode) => string | undefined
type IsMeant = (replica: PlaceableNode) => boolean

const DOMAINS: readonly (readonly ['host' | 'zone', DomainOf])[] = [
  ['host', ({host, address}) => host ?? address.host],
  ['zone', ({zone}) => zone],
]

/** Of all shards of a cluster. Where all nodes are on one host nothing is said of zones. */
export function warnOfDomains(shards: readonly PlacedShard[]): string[] {
  const members = membersOf(shards)
  const isOneHost = new Set(members.map(DOMAINS[0]![1])).size === 1
  return DOMAINS.filter(
    ([name]) => name === 'host' || !isOneHost || new Set(members.map(({zone}) => zone)).size > 1,
  ).flatMap(([name, domainOf]) => [
    ...warnOfOne(name, domainOf, shards),
    ...pairsIn(name, domainOf, shards, () => true),
    ...warnOfMajorities(name, domainOf, shards),
  ])
}

function warnOfOne(name: string, domainOf: DomainOf, shards: readonly PlacedShard[]): string[] {
  const members = membersOf(shards)
  const [only, ...others] = new Set(members.map(domainOf))
  if (only === undefined || others.length > 0 || members.length === 1) return []
  return [`All nodes are ${at(name)} one ${name}, ${only}: with it the whole cluster is lost.`]
}

/** Of replicas that `isMeant`. */
export function warnOfPairs(shards: readonly PlacedShard[], isMeant: IsMeant): string[] {
  return DOMAINS.flatMap(([name, domainOf]) => pairsIn(name, domainOf, shards, isMeant))
}

function pairsIn(name: string, domainOf: DomainOf, shards: readonly PlacedShard[], isMeant: IsMeant): string[] {
  if (new Set(membersOf(shards).map(domainOf)).size === 1) return []
  const areTogether = (a: PlaceableNode, b: PlaceableNode): boolean =>
    domainOf(a) !== undefined && domainOf(a) === domainOf(b) && (isMeant(a) || isMeant(b))
  const warnings: string[] = []
  const together = shards.filter(({primary, replicas}) => replicas.some((replica) => areTogether(primary, replica)))
  if (together.length > 0) {
    warnings.push(
      `${amountOf(together, shards)} a replica ${at(name)} the ${name} of its primary: ${listOf(together)}.`,
    )
  }
  const paired = shards.filter(({replicas}) =>
    replicas.some((replica, index) => replicas.slice(index + 1).some((other) => areTogether(replica, other))),
  )
  if (paired.length > 0)
    warnings.push(`${amountOf(paired, shards)} two replicas ${at(name)} one ${name}: ${listOf(paired)}.`)
  return warnings
}

function warnOfMajorities(name: string, domainOf: DomainOf, shards: readonly PlacedShard[]): string[] {
  const domains = new Set(membersOf(shards).map(domainOf))
  if (domains.size === 1 || shards.length < 3) return []
  return [...domains].flatMap((domain) => {
    const led = shards.filter(({primary}) => domainOf(primary) === domain).length
    return domain !== undefined && led * 2 >= shards.length
      ? [`The ${name} ${domain} has ${led} of ${shards.length} primaries: without it no majority is left.`]
      : []
  })
}

/** "on a host", "in a zone" */
function at(name: string): string {
  return name === 'zone' ? 'in' : 'on'
}

function membersOf(shards: readonly PlacedShard[]): PlaceableNode[] {
  return shards.flatMap(({primary, replicas}) => [primary, ...replicas])
}

function amountOf(some: readonly PlacedShard[], all: readonly PlacedShard[]): string {
  return `${some.length} of ${all.length} shards ${some.length === 1 ? 'has' : 'have'}`
}

/** "10.0.0.1:7000, 10.0.0.2:7000 and 3 more" */
function listOf(shards: readonly PlacedShard[]): string {
  const names = shards.slice(0, 4).map(({primary}) => formatAddress(primary.address))
  return shards.length > 4 ? `${names.join(', ')} and ${shards.length - 4} more` : names.join(', ')
}
