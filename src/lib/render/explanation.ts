/** What is there to know about one slot, or one node? The facts together, for the text and for --json. */

import type {Finding} from '../findings/finding.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots, formatRanges, type SlotRanges} from '../slots/slot-ranges.ts'
import {
  type ClusterNode,
  formatAddress,
  type NodeId,
  type OpenSlot,
  type StaleMark,
  type Topology,
} from '../topology/model.ts'
import {keysOf, primaries, seedAddress, shardOf, slotsOf} from '../topology/queries.ts'
import type {SlotCount} from '../topology/slot-count.ts'
import {type NodeOpinion, type OwnerOpinion, opinionsOnNode, opinionsOnSlot} from '../topology/views-about.ts'
import {type FindingDocument, findingDocument} from './findings-document.ts'
import {nodeState} from './topology.ts'

/** How the slot came to be asked for. */
export interface SlotQuestion {
  readonly slot: number
  readonly key: string | undefined
  readonly hashTag: string | undefined
}

export interface SlotExplanation extends SlotQuestion {
  /** Settled; undefined: nobody. */
  readonly owner: ClusterNode | undefined
  readonly replicas: readonly ClusterNode[]
  readonly opinions: readonly OwnerOpinion[]
  readonly marks: OpenSlot | undefined
  readonly staleMarks: readonly StaleMark[]
  readonly counts: readonly SlotCount[]
  /** Nodes with keys of the slot that are neither of its shard nor at an end of its move. */
  readonly strays: readonly SlotCount[]
  /** Those about the slot, or about its shard. */
  readonly findings: readonly Finding[]
  /** Commands that go on from here. */
  readonly suggestions: readonly string[]
}

export function explainSlot(
  topology: Topology,
  question: SlotQuestion,
  counts: readonly SlotCount[],
  findings: readonly Finding[],
): SlotExplanation {
  const {slot} = question
  const owner = topology.nodesById.get(topology.owners[slot] ?? '')
  const replicas = owner ? (shardOf(topology, owner.id)?.replicas ?? []) : []
  const marks = topology.openSlots.find((open) => open.slot === slot)
  const ends = [...(marks?.migrating ?? []), ...(marks?.importing ?? [])]
  const expected = new Set([...[owner, ...replicas].flatMap((node) => node?.id ?? []), ...ends.map(({node}) => node)])
  const strays = counts.filter(({node, keys}) => keys !== undefined && keys > 0 && !expected.has(node))
  return {
    ...question,
    owner,
    replicas,
    opinions: opinionsOnSlot(topology, slot),
    marks,
    staleMarks: topology.staleMarks.filter((mark) => mark.slot === slot),
    counts,
    strays,
    findings: findings.filter((finding) => contains(finding.slots, slot) || isAboutShard(finding, owner, replicas)),
    suggestions: strays.length > 0 ? [`rcluster fix ${seedAddress(topology)} --dry-run`] : [],
  }
}

function contains(ranges: SlotRanges, slot: number): boolean {
  return ranges.some(({start, end}) => start <= slot && slot <= end)
}

/** About these nodes and no others; and whether the owner serves at all. */
function isAboutShard({id, nodes}: Finding, owner: ClusterNode | undefined, replicas: readonly ClusterNode[]): boolean {
  if (!owner) return false
  const members = new Set([owner, ...replicas].map((node) => node.id))
  if (id === 'cluster-down') return nodes.includes(owner.id)
  return nodes.length > 0 && nodes.every((node) => members.has(node))
}

export interface Neighbour {
  readonly node: ClusterNode
  /** How many of the ranges of the two touch. */
  readonly borders: number
}

export interface NodeExplanation {
  readonly node: ClusterNode
  readonly slots: SlotRanges
  /** Of a replica. */
  readonly primary: ClusterNode | undefined
  /** Of the same shard, itself left out. */
  readonly replicas: readonly ClusterNode[]
  /** Owners of the slots beside its own; those with most borders first. */
  readonly neighbours: readonly Neighbour[]
  /** Others on its host; empty where all are. */
  readonly sameHost: readonly ClusterNode[]
  readonly opinions: readonly NodeOpinion[]
  /** Nodes that answered and do not know it. */
  readonly unknownTo: readonly NodeId[]
  readonly findings: readonly Finding[]
}

export function explainNode(topology: Topology, node: ClusterNode, findings: readonly Finding[]): NodeExplanation {
  const slots = slotsOf(topology, node.id)
  const shard = shardOf(topology, node.id)
  const sameHost = topology.nodes.filter(({id, address}) => id !== node.id && address.host === node.address.host)
  const opinions = opinionsOnNode(topology, node.id)
  const isWide = ({nodes}: Finding): boolean => nodes.length >= primaries(topology).length && nodes.length > 1
  return {
    node,
    slots,
    primary: node.role === 'replica' ? shard?.primary : undefined,
    replicas: shard?.replicas.filter(({id}) => id !== node.id) ?? [],
    neighbours: neighboursOf(topology, slots),
    sameHost: sameHost.length === topology.nodes.length - 1 ? [] : sameHost,
    opinions,
    unknownTo: opinions.filter(({seenAs}) => seenAs === undefined).flatMap(({saidBy}) => saidBy),
    findings: findings.filter((finding) => finding.nodes.includes(node.id) && !isWide(finding)),
  }
}

function neighboursOf({owners, nodesById}: Topology, slots: SlotRanges): readonly Neighbour[] {
  const borders = new Map<NodeId, number>()
  for (const {start, end} of slots) {
    for (const beside of [start - 1, end + 1]) {
      const owner = beside >= 0 && beside < SLOT_COUNT ? owners[beside] : undefined
      if (owner !== undefined) borders.set(owner, (borders.get(owner) ?? 0) + 1)
    }
  }
  return [...borders]
    .flatMap(([id, count]) => {
      const node = nodesById.get(id)
      return node ? [{node, borders: count}] : []
    })
    .sort((a, b) => b.borders - a.borders || (a.node.id < b.node.id ? -1 : 1))
}

interface Named {
  readonly id: NodeId
  readonly address: string
  /** In a few words: "ok", "no answer". */
  readonly state: string
}

export interface SlotDocument {
  readonly kind: 'slot'
  readonly slot: number
  readonly key: string | null
  readonly hashTag: string | null
  /** null: nobody. */
  readonly owner: (Named & {readonly configEpoch: number; readonly slotCount: number}) | null
  readonly replicas: readonly Named[]
  /** No node says otherwise. */
  readonly isAgreed: boolean
  readonly opinions: readonly (Omit<OwnerOpinion, 'owner'> & {readonly owner: NodeId | null})[]
  readonly isOpen: boolean
  readonly migrating: OpenSlot['migrating']
  readonly importing: OpenSlot['importing']
  readonly staleMarks: readonly StaleMark[]
  /** null where the node could not be asked. */
  readonly keys: readonly {readonly node: NodeId; readonly keys: number | null; readonly problem: string | null}[]
  readonly strays: readonly NodeId[]
  readonly findings: readonly FindingDocument[]
  readonly suggestions: readonly string[]
}

export function slotDocument(facts: SlotExplanation, topology: Topology): SlotDocument {
  const {slot, key, hashTag, owner, replicas, opinions, marks, staleMarks, counts, strays, findings, suggestions} =
    facts
  return {
    kind: 'slot',
    slot,
    key: key ?? null,
    hashTag: hashTag ?? null,
    owner: owner
      ? {
          ...named(owner, topology),
          configEpoch: owner.configEpoch,
          slotCount: countSlots(slotsOf(topology, owner.id)),
        }
      : null,
    replicas: replicas.map((node) => named(node, topology)),
    isAgreed: opinions.length <= 1,
    opinions: opinions.map((opinion) => ({...opinion, owner: opinion.owner ?? null})),
    isOpen: marks !== undefined,
    migrating: marks?.migrating ?? [],
    importing: marks?.importing ?? [],
    staleMarks,
    keys: counts.map(({node, keys, problem}) => ({node, keys: keys ?? null, problem: problem ?? null})),
    strays: strays.map(({node}) => node),
    findings: findings.map(findingDocument),
    suggestions,
  }
}

export interface ExplainedNodeDocument extends Named {
  readonly kind: 'node'
  readonly announced: string
  readonly hostname: string | null
  readonly role: ClusterNode['role']
  readonly primaryId: NodeId | null
  readonly configEpoch: number
  readonly isReachable: boolean
  readonly slots: string
  readonly slotCount: number
  readonly keys: number | null
  readonly replicas: readonly Named[]
  readonly neighbours: readonly (Named & {readonly borders: number})[]
  readonly sameHost: readonly NodeId[]
  readonly opinions: readonly {
    readonly isOwn: boolean
    readonly saidBy: readonly NodeId[]
    /** null: it is not known to these. */
    readonly seenAs: Readonly<Record<string, unknown>> | null
  }[]
  readonly findings: readonly FindingDocument[]
}

export function explainedNodeDocument(facts: NodeExplanation, topology: Topology): ExplainedNodeDocument {
  const {node, slots, replicas, neighbours, sameHost, opinions, findings} = facts
  return {
    kind: 'node',
    ...named(node, topology),
    announced: formatAddress(node.announced),
    hostname: node.hostname ?? null,
    role: node.role,
    primaryId: node.primaryId ?? null,
    configEpoch: node.configEpoch,
    isReachable: node.reach.kind === 'reached',
    slots: formatRanges(slots),
    slotCount: countSlots(slots),
    keys: keysOf(node) ?? null,
    replicas: replicas.map((one) => named(one, topology)),
    neighbours: neighbours.map((one) => ({...named(one.node, topology), borders: one.borders})),
    sameHost: sameHost.map(({id}) => id),
    opinions: opinions.map(({isOwn, saidBy, seenAs}) => ({
      isOwn,
      saidBy,
      seenAs: seenAs
        ? {
            ...seenAs,
            primaryId: seenAs.primaryId ?? null,
            hostname: seenAs.hostname ?? null,
            address: formatAddress(seenAs.address),
            ranges: undefined,
            slots: formatRanges(seenAs.ranges),
          }
        : null,
    })),
    findings: findings.map(findingDocument),
  }
}

function named(node: ClusterNode, topology: Topology): Named {
  return {id: node.id, address: formatAddress(node.address), state: nodeState(node, topology).text}
}
