/** How is one repair carried out? Each kind asks the nodes again before it changes what cannot be undone. */
import {InterruptedError, NodeError, RefusedError} from '../errors.ts'
import {buildMovePlan} from '../plan/move-plan.ts'
import {slotsOfRepair} from '../plan/repair.ts'
import {reachedPrimaries} from '../plan/repair-facts.ts'
import type {Repair, RepairAct} from '../plan/repair-plan.ts'
import {formatSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import type {ConflictPolicy, DrainOptions} from './drain.ts'
import type {EngineListener} from './events.ts'
import {PairGate} from './gate.ts'
import {gatherKeys} from './gather-keys.ts'
import {countKeysOf, slotsAt} from './key-evidence.ts'
import type {Pace} from './pace.ts'
import {describeMoves, reMeet} from './re-meet.ts'
import {runMoves} from './run-moves.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded, pollUntil} from './waiting.ts'

export interface RepairContext {
  readonly session: ClusterSession
  readonly conflicts: ConflictPolicy
  readonly maxPauseMs: number
  readonly pace: Pace
  readonly listener: EngineListener
  readonly stop: AbortSignal | undefined
  readonly abort: AbortSignal | undefined
  /** Importing marks that were set only to keep stray keys in sight. */
  readonly strayMarks: Map<NodeId, Set<number>>
  /** Those of them that were not there before this run. */
  readonly ownMarks: Map<NodeId, Set<number>>
}

type Act<K extends RepairAct['kind']> = Extract<RepairAct, {kind: K}>

/** A replica that takes over tells the others at once; on a busy machine that takes its time. */
const TAKEOVER_DEADLINE_MS = 15_000
/** Once the last slot has an owner, nodes serve keys again within a moment. */
const SERVICE_DEADLINE_MS = 10_000
/** Marks that are set at once, to see what they uncover. */
const REVEAL_SLOTS = 1024

/** @throws ClusterError; what was done until then is seen by the next look. */
export async function applyRepair(context: RepairContext, repair: Repair): Promise<void> {
  const {act} = repair
  const slots = slotsOfRepair(repair)
  switch (act.kind) {
    case 're-meet':
      context.listener({kind: 'phase', text: `Introducing ${describeMoves(context.session, act.nodes)} to the others`})
      return reMeet(context.session, act.nodes, context.stop)
    case 'take-over':
      return takeOver(context, act)
    case 'reveal':
      return reveal(context, act)
    case 'assign':
      return assign(context, act, slots)
    case 'tell-owner':
      return tellOwner(context, act, slots)
    case 'correct-mark':
      return correctMarks(context, act, slots)
    case 'close':
      return close(context, act, slots, repair.risk === 'data-loss')
    case 'gather':
      return gather(context, act, slots)
    case 'finish-move':
      return finishMoves(context, [repair])
  }
}

async function takeOver({session, listener, stop}: RepairContext, {replica, primary}: Act<'take-over'>): Promise<void> {
  const port = session.node(replica)
  listener({kind: 'phase', text: `Letting ${formatAddress(port.address)} take over`})
  await port.failOver('takeover')
  const hasTakenOver = await pollUntil(
    async () => {
      const {nodesById, owners, disagreements} = await session.refresh()
      const isLeading = nodesById.get(replica)?.role === 'primary' && !owners.includes(primary)
      const isDoubted = disagreements.some(({opinions}) => opinions.some(({owner}) => owner === primary))
      return isLeading && !isDoubted ? true : undefined
    },
    {deadlineMs: TAKEOVER_DEADLINE_MS, signal: stop},
  )
  if (hasTakenOver) return
  throw new InterruptedError(`${formatAddress(port.address)} was told to take over, and not all nodes know of it yet`)
}

/** Slots with keys keep the mark: they are open then, and the keys are brought home as those of any open slot. */
async function reveal({session, listener, strayMarks, ownMarks}: RepairContext, {at}: Act<'reveal'>): Promise<void> {
  const port = session.node(at)
  const {owners} = session.topology
  const [anyone = at] = reachedPrimaries(session.topology)
    .map(({id}) => id)
    .filter((id) => id !== at)
  // The owner, as in every mark of ours: see 'correct-mark'.
  const peerOf = (slot: number): NodeId => owners[slot] ?? anyone
  listener({kind: 'phase', text: `Looking for hidden keys on ${formatAddress(port.address)}`})
  const {others} = slotsAt(await port.readView())
  for (let start = 0; start < others.length; start += REVEAL_SLOTS) {
    const slots = others.slice(start, start + REVEAL_SLOTS)
    remember(strayMarks, at, slots)
    remember(ownMarks, at, slots)
    try {
      await Promise.all(slots.map((slot) => port.setImporting(slot, peerOf(slot))))
    } finally {
      const counts = await countKeysOf(port, slots)
      await Promise.all(slots.filter((slot) => counts.get(slot) === 0).map((slot) => port.setStable(slot)))
    }
  }
}

async function assign(
  context: RepairContext,
  {owner, holders}: Act<'assign'>,
  slots: readonly number[],
): Promise<void> {
  const {session, listener} = context
  const port = session.node(owner)
  listener({kind: 'phase', text: `Giving ${formatSlots(slots)} to ${formatAddress(port.address)}`})
  await Promise.all(slots.map((slot) => port.assignSlot(slot, owner)))
  // Above whatever a former owner may come back with: its claim at a higher epoch would delete what is written from now on.
  await port.bumpEpoch()
  await tellAll(session, slots, owner)
  // Not before: Valkey would make a node that imports from one that does not own the slot yet take it for itself.
  await mapBounded(holders, 64, async (id) => {
    const held = [...(await countKeysOf(session.node(id), slots))].filter(([, keys]) => keys > 0).map(([slot]) => slot)
    remember(context.strayMarks, id, held)
    remember(context.ownMarks, id, held)
    await Promise.all(held.map((slot) => session.node(id).setImporting(slot, owner)))
  })
}

/** The others learn it from packets as well: one that cannot be told is no reason to stop. */
async function tellAll(session: ClusterSession, slots: readonly number[], owner: NodeId): Promise<void> {
  const others = session.topology.nodes.filter(({id, reach}) => id !== owner && reach.kind === 'reached')
  await mapBounded(others, 64, async ({id, role, busPort}) => {
    const port = session.node(id)
    // Replicas take no SETSLOT; a MEET makes the owner tell them all that it claims, at once.
    const meet = async (): Promise<void> => session.node(owner).meet(await session.wayBetween(owner, id), busPort)
    if (role === 'replica') await meet().catch(unlessNodeError)
    else await Promise.all(slots.map((slot) => port.assignSlot(slot, owner).catch(unlessNodeError)))
  })
}

function unlessNodeError(error: unknown): void {
  if (!(error instanceof NodeError)) throw error
}

async function tellOwner(
  {session, listener}: RepairContext,
  act: Act<'tell-owner'>,
  slots: readonly number[],
): Promise<void> {
  const {owner, told} = act
  listener({kind: 'phase', text: `Telling who owns ${formatSlots(slots)}`})
  const {disagreements, nodesById} = session.topology
  // First of all: a rival that got a key since it was counted says no to this, but would delete it at a higher epoch.
  await mapBounded(told, 64, (id) => Promise.all(slots.map((slot) => session.node(id).assignSlot(slot, owner))))
  const ownEpoch = nodesById.get(owner)?.configEpoch ?? 0
  const isOutdone = disagreements.some(
    ({ranges, opinions}) =>
      ranges.some(({start, end}) => slots.some((slot) => slot >= start && slot <= end)) &&
      opinions.some((one) => one.owner !== owner && (one.configEpoch ?? 0) >= ownEpoch),
  )
  // Else packets of whom they take for the owner would win them back.
  if (isOutdone) await session.node(owner).bumpEpoch()
  await tellAll(session, slots, owner)
}

/** A node with keys keeps its mark: without it they would be out of reach. */
async function close(
  {session, listener}: RepairContext,
  {at}: Act<'close'>,
  slots: readonly number[],
  isGivingUp: boolean,
): Promise<void> {
  listener({kind: 'phase', text: `Closing ${formatSlots(slots)}`})
  await mapBounded(at, 64, async (id) => {
    const port = session.node(id)
    const counts = await countKeysOf(port, slots)
    const isOwner = (slot: number): boolean => session.topology.owners[slot] === id
    const empty = slots.filter((slot) => counts.get(slot) === 0 || isOwner(slot) || isGivingUp)
    await Promise.all(empty.map((slot) => port.setStable(slot)))
  })
}

async function correctMarks(
  {session, strayMarks}: RepairContext,
  {at, owner}: Act<'correct-mark'>,
  slots: readonly number[],
): Promise<void> {
  for (const id of at) remember(strayMarks, id, slots)
  await mapBounded(at, 64, (id) => Promise.all(slots.map((slot) => session.node(id).setImporting(slot, owner))))
}

async function gather(context: RepairContext, {from, to}: Act<'gather'>, slots: readonly number[]): Promise<void> {
  const {session, pace, conflicts, listener, abort} = context
  await requireService(context, [...from, to])
  const gate = new PairGate(1)
  const target = session.node(to)
  for (const id of from) {
    const source = session.node(id)
    const held = [...(await countKeysOf(source, slots))].filter(([, keys]) => keys > 0).map(([slot]) => slot)
    const marked = session.topology.openSlots.filter(({importing}) => importing.some(({node}) => node === id))
    const wanted = new Set([...held, ...marked.map(({slot}) => slot).filter((slot) => slots.includes(slot))])
    // Redis 8.6 shows keys of slots that are not its own only once they are marked.
    const mine = slots.filter((slot) => wanted.has(slot) || from.length === 1)
    if (mine.length === 0) continue
    const isMarked = new Set(marked.map(({slot}) => slot))
    const unmarked = mine.filter((slot) => !isMarked.has(slot))
    remember(context.strayMarks, id, unmarked)
    remember(context.ownMarks, id, unmarked)
    listener({
      kind: 'phase',
      text: `Bringing keys of ${formatSlots(mine)} from ${formatAddress(source.address)} to ${formatAddress(target.address)}`,
    })
    const drain: DrainOptions = {
      limits: () => pace.limitsAt(id),
      conflicts,
      pass: async (work) => {
        await pace.ready(id, to)
        return gate.pass(id, to, work)
      },
      listener: (event) => {
        if (event.kind === 'keys-moved') pace.note(id, event, event.pauseMs ?? 0)
        listener(event)
      },
      abort,
    }
    const pair = {
      source,
      target,
      targetAddress: await session.wayBetween(id, to),
      databaseCount: await source.readDatabaseCount(),
    }
    const ownerOf = (slot: number): NodeId => session.topology.owners[slot] ?? to
    await gatherKeys({pair, slots: mine, ownerOf, drain})
  }
}

/** All at once: the engine that moves slots sees to the order. */
export async function finishMoves(context: RepairContext, repairs: readonly Repair[]): Promise<void> {
  const {session, listener, stop, abort, conflicts, maxPauseMs} = context
  const moves = repairs.flatMap((repair) => {
    const {act} = repair
    if (act.kind !== 'finish-move') return []
    return slotsOfRepair(repair).map((slot) => ({slot, from: act.from, to: act.to}))
  })
  await requireService(context, [...new Set(moves.flatMap(({from, to}) => [from, to]))])
  const marks = new Map(session.topology.openSlots.map((open) => [open.slot, open.importing]))
  await Promise.all(
    moves.map(async ({slot, from, to}) => {
      // A mark that names somebody else would make the engine take the slot for another's.
      const mark = marks.get(slot)?.find(({node}) => node === to)
      if (mark && mark.from !== from) await session.node(to).setImporting(slot, from)
    }),
  )
  const plan = buildMovePlan(session.topology, 'reshard', moves, [])
  const outcome = await runMoves(session, plan, {stop, abort, listener, conflicts, maxPauseMs})
  if (outcome.kind === 'stopped') stop?.throwIfAborted()
}

/** Keys can only travel where both ends serve. @throws RefusedError 'unhealthy' */
async function requireService({session, stop}: RepairContext, ids: readonly NodeId[]): Promise<void> {
  const ports: readonly NodePort[] = [...new Set(ids)].map((id) => session.node(id))
  let down: NodePort[] = []
  await pollUntil(
    async () => {
      const infos = await mapBounded(ports, 128, (port) => port.readClusterInfo())
      down = ports.filter((_, index) => infos[index]?.state !== 'ok')
      return down.length === 0 ? true : undefined
    },
    {deadlineMs: SERVICE_DEADLINE_MS, signal: stop},
  )
  if (down.length === 0) return
  stop?.throwIfAborted()
  const names = down.map(({address}) => formatAddress(address)).join(', ')
  throw new RefusedError(
    'unhealthy',
    `cluster_state is fail on ${names}: keys cannot travel before all slots are covered`,
  )
}

function remember(marks: Map<NodeId, Set<number>>, node: NodeId, slots: readonly number[]): void {
  const known = marks.get(node) ?? new Set()
  for (const slot of slots) known.add(slot)
  marks.set(node, known)
}
