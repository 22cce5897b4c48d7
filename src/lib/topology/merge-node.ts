/** What is one node like, given its own view (if it was reached) and what the others say about it? */
import {formatRanges} from '../slots/slot-ranges.ts'
import {
  type ClusterNode,
  formatAddress,
  type NodeAddress,
  type NodeEntry,
  type NodeFlag,
  type NodeId,
  type NodeView,
  type Reach,
  type WhyUnreachable,
} from './model.ts'

/** What all reached nodes, itself included, say about one node. */
export interface Hearsay {
  knownByCount: number
  /** How many views hold this very entry. */
  readonly countByEntry: Map<NodeEntry, number>
}

/** A reached node: its own word counts. */
export function mergeNode(view: NodeView, own: NodeEntry | undefined, hearsay: Hearsay): ClusterNode {
  const entry = own ?? mostSaid(hearsay, factsOf)
  return {
    id: view.id,
    announced: announcedOf(view, own, hearsay),
    address: view.dialled,
    busPort: entry?.busPort || view.dialled.port + 10_000,
    hostname: entry?.hostname,
    linkedAt: linkedAt(hearsay),
    role: entry?.role ?? 'primary',
    primaryId: entry?.primaryId,
    configEpoch: entry?.configEpoch ?? 0,
    flags: flagsOf(hearsay),
    ranges: entry?.ranges ?? [],
    reach: {kind: 'reached', view},
  }
}

/** A fresh node does not know its own host: then the others' word counts, then where it answered. */
function announcedOf(view: NodeView, own: NodeEntry | undefined, hearsay: Hearsay): NodeAddress {
  if (own && own.announced.host !== '') return own.announced
  const told = mostSaid(hearsay, (entry) => formatAddress(entry.announced), hasAddress)
  return told?.announced ?? {host: view.dialled.host, port: own?.announced.port || view.dialled.port}
}

/** A node that was not reached: what most of the others say; then the higher config epoch, then the text order. */
export function mergeUnreachedNode(id: NodeId, hearsay: Hearsay, why: WhyUnreachable): ClusterNode {
  const said = mostSaid(hearsay, factsOf)
  const addressed = mostSaid(hearsay, addressFactsOf, hasAddress) ?? said
  const announced = addressed?.announced ?? {host: '', port: 0}
  const reach: Reach = {kind: 'unreachable', ...why}
  return {
    id,
    announced,
    address: announced,
    busPort: addressed?.busPort ?? 0,
    hostname: addressed?.hostname,
    linkedAt: linkedAt(hearsay),
    role: said?.role ?? 'primary',
    primaryId: said?.primaryId,
    configEpoch: said?.configEpoch ?? 0,
    flags: flagsOf(hearsay),
    ranges: said?.ranges ?? [],
    reach,
  }
}

/** A link that is being opened says nothing yet. */
function linkedAt(hearsay: Hearsay): NodeAddress | undefined {
  const told = mostSaid(
    hearsay,
    (entry) => formatAddress(entry.announced),
    (entry) =>
      hasAddress(entry) &&
      entry.isLinked &&
      !entry.isMyself &&
      !entry.flags.has('suspected') &&
      !entry.flags.has('failed'),
  )
  return told?.announced
}

function hasAddress(entry: NodeEntry): boolean {
  return entry.announced.host !== '' && !entry.flags.has('noaddr')
}

function addressFactsOf(entry: NodeEntry): string {
  return `${formatAddress(entry.announced)}@${entry.busPort},${entry.hostname ?? ''}`
}

function factsOf(entry: NodeEntry): string {
  return `${entry.role} ${entry.primaryId ?? '-'} ${entry.configEpoch} ${formatRanges(entry.ranges)}`
}

/** An entry with the facts that most views tell. */
function mostSaid(
  hearsay: Hearsay,
  facts: (entry: NodeEntry) => string,
  isEligible: (entry: NodeEntry) => boolean = () => true,
): NodeEntry | undefined {
  const byFacts = new Map<string, {entry: NodeEntry; count: number}>()
  for (const [entry, count] of hearsay.countByEntry) {
    if (!isEligible(entry)) continue
    const key = facts(entry)
    const same = byFacts.get(key)
    if (same) same.count += count
    else byFacts.set(key, {entry, count})
  }
  const [best] = [...byFacts].sort(
    ([aKey, a], [bKey, b]) => b.count - a.count || b.entry.configEpoch - a.entry.configEpoch || (aKey < bKey ? -1 : 1),
  )
  return best?.[1].entry
}

function flagsOf(hearsay: Hearsay): ReadonlySet<NodeFlag> {
  const flags = new Set<NodeFlag>()
  for (const entry of hearsay.countByEntry.keys()) for (const flag of entry.flags) flags.add(flag)
  return flags
}
