/**
 * What puts the slots in order? From what the nodes say and the keys that were counted to repairs, each with its grounds
 * and its risk, and to what no repair can change. Pure.
 */
import {formatSlots, parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelNode, listNodes, seedAddress, slotMapFingerprint} from '../topology/queries.ts'
import {compare} from './move-plan.ts'
import type {SlotMove} from './plan.ts'
import {
  absentOwners,
  absentPrimaries,
  collectFacts,
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
}

/**
 * Marks that may do harm go before any node's slots change. Keys cannot travel before slots are owned, nor a move be
 * finished while keys of it are elsewhere.
 */
const STAGES: Readonly<Record<RepairAct['kind'], number>> = {
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
  const facts = collectFacts(topology, evidence, options.strayMarks)
  const intended = new Map((options.intended ?? []).map((move) => [move.slot, move]))
  const uncovered = facts.filter(({owner}) => !isReached(owner, 'primary'))
  const owned = facts.filter(({owner}) => isReached(owner, 'primary'))
  const verdicts = [
    ...repairsOfUncovered(topology, uncovered, intended),
    ...owned.flatMap((one) =>
      repairsOfOwned(topology, one, (one.owner as ClusterNode).id, intended.get(one.slot), options).map((verdict) => ({
        slot: one.slot,
        verdict,
      })),
    ),
  ]
  const hidden = [...evidence.hiddenKeys].sort(([a], [b]) => (a < b ? -1 : 1))
  const repairs = [
    ...hidden.map(([id, keys]) => revealing(topology, id, keys)),
    ...putTogether(topology, facts, verdicts),
  ].sort((a, b) => stageOf(a) - stageOf(b) || firstSlot(a) - firstSlot(b) || compare(describeEnds(a), describeEnds(b)))
  return withoutBlocked(topology, repairs, options, evidence)
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

function revealing(topology: Topology, at: NodeId, keys: number): Repair {
  return {
    act: {kind: 'reveal', at},
    slots: '',
    risk: 'safe',
    why: `the node has ${keys === 1 ? '1 key' : `${keys} keys`} in slots that are not its own, and does not tell which slots: it is made to show them`,
    evidence: witnesses(topology, [], {kind: 'reveal', at}),
  }
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

/** Every node that claims, marks or holds any of it, that the repair names, or that is taken for the owner. */
function witnesses(topology: Topology, facts: readonly SlotFacts[], act: RepairAct): RepairWitness[] {
  const seen = new Map<
    NodeId,
    {keys: number; slotsWithKeys: number; isClaiming: boolean; to: Set<NodeId>; from: Set<NodeId>}
  >()
  const at = (id: NodeId) => {
    const known = seen.get(id) ?? {keys: 0, slotsWithKeys: 0, isClaiming: false, to: new Set(), from: new Set()}
    seen.set(id, known)
    return known
  }
  for (const id of nodesOf(act)) at(id)
  for (const one of facts) {
    for (const id of one.claimants) at(id).isClaiming = true
    if (one.owner?.reach.kind === 'unreachable') at(one.owner.id).isClaiming = true
    for (const {node, to} of one.migrating) at(node).to.add(to)
    for (const {node, from} of one.importing) at(node).from.add(from)
    for (const [id, keys] of one.keys) {
      const witness = at(id)
      witness.keys += keys
      witness.slotsWithKeys++
    }
  }
  return [...seen]
    .flatMap(([id, {keys, slotsWithKeys, isClaiming, to, from}]) => {
      const node = topology.nodesById.get(id)
      if (!node) return []
      const isCounted = isReached(node, 'primary')
      return [
        {
          id,
          address: formatAddress(node.address),
          isReachable: node.reach.kind === 'reached',
          keys: isCounted ? keys : undefined,
          slotsWithKeys,
          claimsAtEpoch: isClaiming ? node.configEpoch : undefined,
          migratingTo: [...to].sort(),
          importingFrom: [...from].sort(),
        },
      ]
    })
    .sort((a, b) => compare(a.address, b.address))
}

function nodesOf(act: RepairAct): readonly NodeId[] {
  switch (act.kind) {
    case 'take-over':
      return [act.replica, act.primary]
    case 'reveal':
      return [act.at]
    case 'assign':
      return [act.owner, ...act.holders]
    case 'tell-owner':
      return [act.owner, ...act.told]
    case 'close':
      return act.at
    case 'correct-mark':
      return [...act.at, act.owner]
    case 'gather':
      return [...act.from, act.to]
    case 'finish-move':
      return [act.from, act.to]
  }
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
    fingerprint: slotMapFingerprint(topology),
    repairs: [],
    obstacles: [],
    warnings: [],
  }
}
