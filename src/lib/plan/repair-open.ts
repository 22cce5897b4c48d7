/**
 * What becomes of a slot whose owner is known, and that is open, doubted, or has keys where they should not be? A move
 * that was cut off goes on the way its marks tell, wherever there are more keys. Pure.
 */
import type {NodeId, Topology} from '../topology/model.ts'
import {labelId} from '../topology/queries.ts'
import type {SlotMove} from './plan.ts'
import {isReached, type SlotFacts} from './repair-facts.ts'
import type {RepairAct, RepairRisk} from './repair-plan.ts'

/** A repair of one slot; equal ones are put together. */
export interface Verdict {
  readonly act: RepairAct
  readonly risk: RepairRisk
  readonly why: string
}

/** `owner`: reached. `intended`: where a run of ours that was cut off meant to move the slot. */
export function repairsOfOwned(
  topology: Topology,
  facts: SlotFacts,
  owner: NodeId,
  intended: SlotMove | undefined,
  {takesBackUnopened = false}: {readonly takesBackUnopened?: boolean | undefined} = {},
): Verdict[] {
  const doubts = doubtsAbout(facts, owner, targetOf(topology, facts, owner) ?? owner)
  // While somebody else claims the slot its marks may change with every packet: look again after that is settled.
  if (doubts.length > 0) return doubts
  if (takesBackUnopened && intended === undefined && isUnopened(facts, owner)) {
    const why = 'only the owner marks them, and it has all keys: the move had not begun'
    return [{act: {kind: 'close', at: [owner]}, risk: 'safe', why}]
  }
  return marksOn(topology, facts, owner, intended)
}

/** The owner alone marks it, and nobody else has a key of it. */
function isUnopened({migrating, importing, keys}: SlotFacts, owner: NodeId): boolean {
  return (
    migrating.length > 0 &&
    migrating.every(({node}) => node === owner) &&
    importing.length === 0 &&
    [...keys.keys()].every((id) => id === owner)
  )
}

/** Other claims and opinions. Keys of another claimant are saved first: they are deleted as soon as it learns of it. */
function doubtsAbout({claimants, dissenters, keys}: SlotFacts, owner: NodeId, home: NodeId): Verdict[] {
  const rivals = claimants.filter((id) => id !== owner && id !== home && keys.has(id))
  if (rivals.length > 0) {
    const why = 'several nodes claim them and hold keys; the highest config epoch wins, as on the servers'
    return [{act: {kind: 'gather', from: rivals, to: home}, risk: 'safe', why}]
  }
  const told = dissenters.filter((id) => id !== owner)
  if (told.length === 0) return []
  const isClaimed = told.some((id) => claimants.includes(id))
  const why = isClaimed
    ? 'several nodes claim them; the highest config epoch wins, as on the servers, and the others have no keys'
    : 'some nodes take another one for the owner, or none'
  return [{act: {kind: 'tell-owner', owner, told}, risk: 'safe', why}]
}

/** To whom the owner sends clients that ask for a key it does not have. */
function targetOf(topology: Topology, {migrating}: SlotFacts, owner: NodeId): NodeId | undefined {
  const to = migrating.find(({node}) => node === owner)?.to
  return to !== undefined && to !== owner && isReached(topology.nodesById.get(to), 'primary') ? to : undefined
}

function marksOn(topology: Topology, facts: SlotFacts, owner: NodeId, intended: SlotMove | undefined): Verdict[] {
  const {migrating, importing, keys} = facts
  const mark = migrating.find(({node}) => node === owner)
  const target = targetOf(topology, facts, owner)
  if (mark && mark.to !== owner && target === undefined) {
    // The mark hides nothing but sends clients after keys that have gone there already.
    const why = `the owner marks them migrating to ${labelId(topology, mark.to)}, which cannot be reached; keys that have gone there are given up`
    return [{act: {kind: 'close', at: [owner]}, risk: 'data-loss', why}]
  }
  const forward = target ?? importerToFinish(facts, owner, intended)
  const home = target ?? owner
  const marked = new Set([...migrating, ...importing].map(({node}) => node))
  const strays = [...keys.keys()].filter((id) => id !== owner && id !== forward).sort()
  const idle = [...marked].filter((id) => id !== forward && !(id === owner && target) && !strays.includes(id)).sort()
  const verdicts: Verdict[] = []
  if (idle.length > 0) {
    const why = idle.some((id) => migrating.some((one) => one.node === id && one.to === owner))
      ? 'they have arrived, and only their source kept its mark'
      : 'marked on a node that neither owns them nor holds a key of them'
    verdicts.push({act: {kind: 'close', at: idle}, risk: 'safe', why})
  }
  const misnamed = importing.filter(({node, from}) => strays.includes(node) && from !== owner).map(({node}) => node)
  if (misnamed.length > 0) {
    const why =
      'the mark names a node that does not own them: Valkey would take the slots by it, and the owner lose its keys'
    verdicts.push({act: {kind: 'correct-mark', at: misnamed.sort(), owner}, risk: 'safe', why})
  }
  if (strays.length > 0) {
    const why =
      home === owner
        ? 'keys on a node that does not own them, where no client finds them'
        : 'keys on a node that neither owns them nor is about to get them'
    verdicts.push({act: {kind: 'gather', from: strays, to: home}, risk: 'safe', why})
  }
  if (forward !== undefined) {
    const why = 'a move that was cut off; the marks tell where it was going'
    verdicts.push({act: {kind: 'finish-move', from: owner, to: forward}, risk: 'safe', why})
  }
  return verdicts
}

/**
 * The owner marks nothing. A node that imports from it and has keys was to get the slot; one without keys was marked
 * before anything was moved, and the move is only gone on with where a run of ours says that it was meant.
 */
function importerToFinish(
  {importing, keys}: SlotFacts,
  owner: NodeId,
  intended: SlotMove | undefined,
): NodeId | undefined {
  const fromOwner = importing.filter(({node, from, isStray}) => from === owner && node !== owner && !isStray)
  const meant = fromOwner.find(({node}) => intended?.from === owner && intended.to === node)
  if (meant) return meant.node
  const [first, ...others] = importing.filter(({node}) => node !== owner && keys.has(node))
  return first && others.length === 0 && first.from === owner && !first.isStray ? first.node : undefined
}
