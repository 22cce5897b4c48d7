/**
 * What puts the slots in order? From what the nodes say and the keys that were counted to repairs, each with its grounds
 * and its risk, and to what no repair can change. Pure.
 */

import {wayApart} from '../findings/merge-rules.ts'
import {formatSlots, parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {mergedClusters} from '../topology/merged-clusters.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {type MovedNode, movedNodes, seemsToHaveMoved} from '../topology/moved-nodes.ts'
import {labelNode, listNodes, seedAddress, slotsOf} from '../topology/queries.ts'
import {sketchCluster} from './cluster-sketch.ts'
import {compare} from './move-plan.ts'
import type {SlotMove} from './plan.ts'
import {witnesses} from './repair-evidence.ts'
import {
  absentOwners,
  absentPrimaries,
  collectFacts,
  isHeldAlive,
  isReached,
  type KeyEvidence,
  reachedPrimaries,
  type SlotFacts,
  type StrayMarks,
} from './repair-facts.ts'
import {repairsOfOwned, type Verdict} from './repair-open.ts'
import type {Obstacle, Repair, RepairAct, RepairPlan, RepairWitness} from './repair-plan.ts'
import {repairsOfUncovered} from './repair-uncovered.ts'

export interface RepairOptions {
  /** Moves of runs of ours that were cut off. */
  readonly intended?: readonly SlotMove[] | undefined
  /** Repair although primaries are out of reach whose word is not known. */
  readonly withUnreachablePrimaries?: boolean | undefined
  /** A move of which the target knows nothing yet is taken back, as redis-cli does, and not gone on with. */
  readonly takesBackUnopened?: boolean | undefined
  /** Slots that are marked as importing on a node only to keep stray keys in sight: no move is meant. */
  readonly strayMarks?: StrayMarks | undefined
  /** Who may get slots that are lost; undefined: all primaries. */
  readonly heirs?: readonly NodeId[] | undefined
}

/**
 * Marks that may do harm go before any node's slots change. Keys cannot travel before slots are owned, nor a move be
 * finished while keys of it are elsewhere.
 */
const STAGES: Readonly<Record<RepairAct['kind'], number>> = {
  're-meet': -1,
  'take-over': 0,
  reveal: 1,
  close: 2,
  'correct-mark': 2,
  assign: 3,
  'tell-owner': 4,
  gather: 5,
  'finish-move': 6,
}

/** Repairs of one stage do not depend on each other. */
export function stageOf({act}: Repair): number {
  return STAGES[act.kind]
}

export function planRepairs(topology: Topology, evidence: KeyEvidence, options: RepairOptions = {}): RepairPlan {
  const merged = mergedClusters(topology)
  if (merged) {
    const slots = formatSlots(slotsInRanges(merged.slots))
    const sides = merged.groups.map((group) => listNodes(group)).join(' against ')
    const message = `two clusters seem to have been joined, and claim slots ${slots}: ${sides}; what one gains the other loses, so nothing is repaired`
    return {...emptyPlan(topology), obstacles: [{slots, message, suggestions: wayApart(topology, merged.groups)}]}
  }
  const moved = movedNodes(topology)
  // Who is alive, and who owns what, is not known before the nodes have found one another.
  if (moved.length > 0 && !options.withUnreachablePrimaries) {
    return {...emptyPlan(topology), repairs: [reMeeting(topology, moved)]}
  }
  const facts = collectFacts(topology, evidence, options.strayMarks)
  const intended = new Map((options.intended ?? []).map((move) => [move.slot, move]))
  const isLost = isAloneElsewhere(topology)
  const isHeld = ({owner}: SlotFacts): boolean =>
    !options.withUnreachablePrimaries && owner?.reach.kind === 'unreachable' && (isLost || isHeldAlive(topology, owner))
  const uncovered = facts.filter((one) => !isReached(one.owner, 'primary') && !isHeld(one))
  const owned = facts.filter(({owner}) => isReached(owner, 'primary'))
  const verdicts = [
    ...repairsOfUncovered(topology, uncovered, intended, options.heirs),
    ...owned.flatMap((one) =>
      repairsOfOwned(topology, one, (one.owner as ClusterNode).id, intended.get(one.slot), options).map((verdict) => ({
        slot: one.slot,
        verdict,
      })),
    ),
  ]
  const hidden = [...evidence.hiddenKeys].sort(([a], [b]) => (a < b ? -1 : 1))
  const repairs = [
    ...(moved.length > 0 ? [reMeeting(topology, moved)] : []),
    ...hidden.map(([id, keys]) => revealing(topology, id, keys)),
    ...staleMarks(topology),
    ...putTogether(topology, facts, verdicts),
  ].sort((a, b) => stageOf(a) - stageOf(b) || firstSlot(a) - firstSlot(b) || compare(describeEnds(a), describeEnds(b)))
  const plan = withoutBlocked(topology, repairs, options, evidence)
  return {
    ...plan,
    obstacles: [...(isLost ? newAddressesMissing : heldAlive)(topology, facts.filter(isHeld)), ...plan.obstacles],
    warnings: warningsOf(topology, plan.repairs),
  }
}

/** One node answers, and it has another address than before: the others may be alive at new addresses, too. */
function isAloneElsewhere({nodes}: Topology): boolean {
  const [only, ...more] = nodes.filter(({reach}) => reach.kind === 'reached')
  return nodes.length > 1 && only !== undefined && more.length === 0 && seemsToHaveMoved(only)
}

function newAddressesMissing(topology: Topology, facts: readonly SlotFacts[]): Obstacle[] {
  const slots = formatSlots(facts.map(({slot}) => slot))
  if (slots === '') return []
  const seed = seedAddress(topology)
  return [
    {
      slots,
      message: `${seed} has another address than before, and no other node answers where it knows them: they may have moved, too, and have all their keys`,
      suggestions: [
        `Name the nodes by their new addresses: rcluster fix ${seed} --seed NEW --seed NEW`,
        'If they are known to be gone: --with-unreachable-primaries',
      ],
    },
  ]
}

/** Nothing is taken from a node that lives for all but us. */
function heldAlive(topology: Topology, facts: readonly SlotFacts[]): Obstacle[] {
  return [...new Set(facts.flatMap(({owner}) => owner ?? []))].map((owner) => ({
    slots: formatSlots(facts.filter((one) => one.owner === owner).map(({slot}) => slot)),
    message: `${labelNode(owner)} does not answer us, but the other nodes are linked to it: it may be alive and serve its slots`,
    suggestions: [
      `See to the way from here to ${formatAddress(owner.address)}; if the server is gone, the others notice within cluster-node-timeout: then rcluster fix ${seedAddress(topology)} again`,
      'If it is known to be gone: --with-unreachable-primaries',
    ],
  }))
}

/** What becomes of the keys of a primary that is lost, should it come back, and how they are saved before that. */
function warningsOf(topology: Topology, repairs: readonly Repair[]): string[] {
  const given = new Set(
    repairs.filter(({act, risk}) => act.kind === 'assign' && risk === 'data-loss').flatMap(slotsOfRepair),
  )
  const lost = absentOwners(topology).filter(({id}) =>
    slotsInRanges(slotsOf(topology, id)).some((slot) => given.has(slot)),
  )
  if (lost.length === 0) return []
  const [it, comes, throws] = lost.length === 1 ? ['it', 'comes', 'throws'] : ['they', 'come', 'throw']
  return [
    `If ${listNodes(lost)} ${comes} back after that, ${it} ${throws} away the keys of these slots as soon as the others are heard of. Keys that are still on disk can be rescued: keep the server stopped, copy its folder, start a server on the copy with "cluster-enabled no" on another port, and then: rcluster import ${seedAddress(topology)} --from HOST:PORT`,
  ]
}

/** The same repair of other slots. */
export function withSlots(repair: Repair, slots: readonly number[]): Repair {
  return {...repair, slots: formatSlots(slots)}
}

export function slotsOfRepair({slots}: Repair): number[] {
  return slotsInRanges(parseRanges(slots))
}

function firstSlot({slots}: Repair): number {
  return parseRanges(slots)[0]?.start ?? -1
}

function describeEnds({act}: Repair): string {
  return JSON.stringify(act)
}

function reMeeting(topology: Topology, moved: readonly MovedNode[]): Repair {
  const act = {kind: 're-meet', nodes: moved.map(({node}) => node.id)} as const
  const [they, have, their] = moved.length === 1 ? ['it', 'has', 'its'] : ['they', 'have', 'their']
  return {
    act,
    slots: '',
    risk: 'safe',
    why: `${they} ${have} kept ${their} ID${moved.length === 1 ? '' : 's'}, slots and keys, and ${have} another address now than the others know; no key is touched`,
    evidence: witnesses(topology, [], act).map((witness) => ({
      ...witness,
      keys: undefined,
      knownAt: knownAt(moved.find(({node}) => node.id === witness.id)),
    })),
  }
}

function knownAt(moved: MovedNode | undefined): NonNullable<RepairWitness['knownAt']> {
  const counts = new Map<string, number>()
  for (const {address} of moved?.knownAs ?? []) {
    const text = address.host === '' ? 'no address' : formatAddress(address)
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return [...counts].map(([address, nodes]) => ({address, nodes}))
}

function revealing(topology: Topology, at: NodeId, keys: number): Repair {
  return {
    act: {kind: 'reveal', at},
    slots: '',
    risk: 'safe',
    why: `the node has ${keys === 1 ? '1 key' : `${keys} keys`} in slots that are not its own, and does not tell which slots: it is made to show them`,
    evidence: witnesses(topology, [], {kind: 'reveal', at}),
  }
}

/** A replica takes no SETSLOT, but what its primary is told it is told as well. */
function staleMarks(topology: Topology): Repair[] {
  return [...new Set(topology.staleMarks.map(({primary}) => primary))].map((primary) => {
    const marks = topology.staleMarks.filter((mark) => mark.primary === primary)
    const act = {kind: 'close', at: [primary]} as const
    const replicas = [...new Set(marks.map(({replica}) => replica))].flatMap((id) => topology.nodesById.get(id) ?? [])
    return {
      act,
      slots: formatSlots([...new Set(marks.map(({slot}) => slot))]),
      risk: 'safe',
      why: `marked on ${listNodes(replicas)} only, whose primary has closed them; it passes on that they are closed`,
      evidence: witnesses(topology, [], act),
    }
  })
}

function putTogether(
  topology: Topology,
  facts: readonly SlotFacts[],
  verdicts: readonly {slot: number; verdict: Verdict}[],
): Repair[] {
  const factsBySlot = new Map(facts.map((one) => [one.slot, one]))
  const groups = new Map<string, {verdict: Verdict; slots: number[]}>()
  for (const {slot, verdict} of verdicts) {
    const key = JSON.stringify(verdict)
    const group = groups.get(key)
    if (group) group.slots.push(slot)
    else groups.set(key, {verdict, slots: [slot]})
  }
  return [...groups.values()].map(({verdict, slots}) => ({
    ...verdict,
    slots: formatSlots(slots),
    evidence: witnesses(
      topology,
      slots.flatMap((slot) => factsBySlot.get(slot) ?? []),
      verdict.act,
    ),
  }))
}

/**
 * Nobody knows what a primary that does not answer claims and holds. What is given up with its consent (data-loss), and
 * what brings its slots back, may be done all the same.
 */
function withoutBlocked(
  topology: Topology,
  repairs: readonly Repair[],
  {withUnreachablePrimaries}: RepairOptions,
  evidence: KeyEvidence,
): RepairPlan {
  const obstacles: Obstacle[] = []
  const isTolerant = withUnreachablePrimaries === true
  const absent = {owners: absentOwners(topology), all: absentPrimaries(topology)}
  const blockers = (repair: Repair): readonly ClusterNode[] => {
    if (isTolerant || repair.risk !== 'safe') return []
    return repair.act.kind === 'assign' ? absent.all : absent.owners
  }
  const blocked = repairs.filter((repair) => blockers(repair).length > 0)
  if (blocked.length > 0) {
    const missing = [...new Set(blocked.flatMap(blockers))]
    const isOne = missing.length === 1
    const slots = formatSlots(blocked.flatMap(slotsOfRepair))
    obstacles.push({
      slots,
      message: `${isOne ? 'primary' : 'primaries'} ${listNodes(missing)} cannot be reached, and may claim slots ${slots} or hold their keys`,
      suggestions: [
        `Start ${isOne ? 'it' : 'them'} again, or repair what can be repaired without ${isOne ? 'it' : 'them'}: --with-unreachable-primaries`,
      ],
    })
  }
  const blind = new Set(blocked)
  const isAlone = topology.nodes.length === 1 && topology.owners.every((owner) => owner === undefined)
  if (isAlone && evidence.keysBySlot.size === 0) {
    return {
      ...emptyPlan(topology),
      obstacles: [
        {
          slots: '0-16383',
          message: `${labelNode(topology.nodes[0] as ClusterNode)} belongs to no cluster`,
          suggestions: ['rcluster create NODE NODE NODE builds one'],
        },
      ],
    }
  }
  const kept = repairs.filter((repair) => !blind.has(repair))
  if (reachedPrimaries(topology).length === 0 && repairs.length === 0 && topology.uncovered.length > 0) {
    obstacles.push({
      slots: formatSlots(slotsInRanges(topology.uncovered)),
      message: 'no primary can be reached',
      suggestions: [`Start the primaries again, then rcluster check ${seedAddress(topology)}`],
    })
  }
  return {...emptyPlan(topology), repairs: kept, obstacles}
}

function emptyPlan(topology: Topology): RepairPlan {
  return {
    version: 1,
    kind: 'fix',
    fingerprint: sketchCluster(topology).fingerprint,
    repairs: [],
    obstacles: [],
    warnings: [],
  }
}
