/**
 * What does one lost host or zone take along? Hosts are what nodes announce; zones are labels of the operator, or what
 * servers tell of themselves (Valkey's availability-zone).
 */
import {type ClusterNode, formatAddress, type Topology} from '../topology/model.ts'
import {labelNode, listNodes, seedAddress, zoneOf} from '../topology/queries.ts'
import type {Finding} from './finding.ts'
import {groupNodes} from './group-nodes.ts'
import {primariesWithSlots} from './shard-rules.ts'

type PlaceOf = (node: ClusterNode) => string | undefined

const hostOf: PlaceOf = ({announced}) => announced.host || undefined

/** Not where all nodes are on one host: that is said of the quorum. */
export function replicasOnPrimaryHost(topology: Topology): readonly Finding[] {
  const found = replicasBeside(topology, hostOf, 'on host')
  return found.map(({place, ...facts}): Finding => ({id: 'replica-on-primary-host', ...facts, host: place}))
}

export function replicasInPrimaryZone(topology: Topology): readonly Finding[] {
  const found = replicasBeside(topology, zoneOf, 'in zone')
  return found.map(({place, ...facts}): Finding => ({id: 'replica-in-primary-zone', ...facts, zone: place}))
}

export function quorumOnOneHost(topology: Topology): readonly Finding[] {
  const found = quorumAt(topology, hostOf, 'on host')
  return found.map(({place, ...facts}): Finding => ({id: 'quorum-on-one-host', ...facts, host: place}))
}

export function quorumInOneZone(topology: Topology): readonly Finding[] {
  const found = quorumAt(topology, zoneOf, 'in zone')
  return found.map(({place, ...facts}): Finding => ({id: 'quorum-in-one-zone', ...facts, zone: place}))
}

type PlacementFinding = Pick<Finding, 'severity' | 'message' | 'nodes' | 'slots' | 'suggestions'> & {
  readonly place: string
}

function placesIn({nodes}: Topology, placeOf: PlaceOf): ReadonlySet<string> {
  return new Set(nodes.flatMap((node) => placeOf(node) ?? []))
}

/** Replicas of shards that have no other replica elsewhere. `words`: "on host". */
function replicasBeside(topology: Topology, placeOf: PlaceOf, words: string): PlacementFinding[] {
  if (placesIn(topology, placeOf).size < 2) return []
  return topology.shards.flatMap(({primary, replicas}) => {
    const place = placeOf(primary)
    if (place === undefined || replicas.some((replica) => placeOf(replica) !== place)) return []
    return replicas.map((replica) => ({
      place,
      severity: 'warning' as const,
      message: `replica ${labelNode(replica)} is ${words} ${place}, and so is its primary ${labelNode(primary)}: both are lost with it`,
      nodes: [replica.id],
      slots: [],
      suggestions: wayApart(topology, replica, primary, placeOf),
    }))
  })
}

/** Two replicas change places where that puts both elsewhere than their primaries. */
function wayApart(topology: Topology, replica: ClusterNode, primary: ClusterNode, placeOf: PlaceOf): string[] {
  const isApart = (one: ClusterNode, other: ClusterNode): boolean =>
    placeOf(one) !== undefined && placeOf(other) !== undefined && placeOf(one) !== placeOf(other)
  for (const shard of topology.shards) {
    if (shard.primary.id === primary.id || !isApart(replica, shard.primary)) continue
    const other = shard.replicas.find((one) => isApart(one, primary))
    if (other) {
      return [
        `rcluster replicate ${formatAddress(replica.address)} ${formatAddress(shard.primary.address)}`,
        `rcluster replicate ${formatAddress(other.address)} ${formatAddress(primary.address)}`,
      ]
    }
  }
  return [`Add a replica elsewhere: rcluster add-node NEW ${seedAddress(topology)} --replica --primary ${primary.id}`]
}

/** Of one or two primaries no majority outlives a loss anyway: that has a rule of its own. */
function quorumAt(topology: Topology, placeOf: PlaceOf, words: string): PlacementFinding[] {
  const places = placesIn(topology, placeOf)
  const [only] = places
  const told = topology.nodes.filter((node) => placeOf(node) !== undefined)
  const haveAllTold = topology.nodes.every((node) => node.reach.kind === 'unreachable' || told.includes(node))
  if (places.size === 1 && only !== undefined && told.length > 1 && haveAllTold) {
    return [
      {
        place: only,
        severity: 'note',
        message: `all ${told.length} nodes are ${words} ${only}, and lost with it`,
        nodes: told.map(({id}) => id),
        slots: [],
        suggestions: [`Add nodes elsewhere: rcluster add-node NEW ${seedAddress(topology)}`],
      },
    ]
  }
  const owners = primariesWithSlots(topology)
  if (owners.length < 3) return []
  return groupNodes(owners, placeOf).flatMap(({value: place, nodes}) => {
    if (nodes.length * 2 <= owners.length) return []
    const heirs = nodes.flatMap(({id}) => {
      const shard = topology.shards.find(({primary}) => primary.id === id)
      return shard?.replicas.find((one) => one.reach.kind === 'reached' && placeOf(one) !== place) ?? []
    })
    const surplus = nodes.length - Math.floor(owners.length / 2)
    return [
      {
        place,
        severity: 'warning' as const,
        message: `${nodes.length} of ${owners.length} primaries with slots are ${words} ${place}: when it is lost, the others are no majority, and no replica takes over: ${listNodes(nodes)}`,
        nodes: nodes.map(({id}) => id).sort(),
        slots: [],
        suggestions:
          heirs.length > 0
            ? heirs.slice(0, surplus).map(({address}) => `rcluster failover ${formatAddress(address)}`)
            : [
                `Add replicas elsewhere, and let them take over: rcluster add-node NEW ${seedAddress(topology)} --replica`,
              ],
      },
    ]
  })
}
