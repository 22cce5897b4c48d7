/** How is a new cluster built from empty nodes? Slots and epochs first, then introductions, then roles, then a look. */
import {ClusterError, NodeError} from '../errors.ts'
import type {CreatePlan} from '../plan/plan.ts'
import {countSlots, parseRanges, type SlotRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type NodeView} from '../topology/model.ts'
import {announceBefore} from './announce.ts'
import type {NodePort} from './cluster-port.ts'
import {holdSetting, SYNC_AT_ONCE} from './hold-setting.ts'
import {
  introduce,
  type MeetPoint,
  readMeetPoints,
  replicate,
  requireMeetable,
  showsRoles,
  takeLastSlots,
  waitUntilLinked,
  waitUntilUp,
} from './membership.ts'
import {type EpochOptions, startAfresh} from './newcomers.ts'
import {type StageOptions, Stages, tellingHowFar} from './stages.ts'
import {mapBounded, pollUntil} from './waiting.ts'

/** Of all nodes alone, some 50 and more ms apart. */
const QUIET_LOOKS = 3
const UNDO_DEADLINE_MS = 5000
/** Nodes that reach one another shake hands in a second. */
const TRY_ANNOUNCED_MS = 5000
const TRY_EACH_MS = 50

/**
 * Carries out `planned`; `ports` are its nodes, which must be empty. Returns when every node knows every other, all agree
 * on slots and roles, and each says that the cluster is up.
 * @returns the plan as it was carried out: nodes that have been members somewhere have new IDs.
 * @throws InterruptedError when the nodes do not get there within the deadline.
 */
export async function createCluster(
  planned: CreatePlan,
  ports: readonly NodePort[],
  options: StageOptions & EpochOptions,
): Promise<CreatePlan> {
  const stages = new Stages(options)
  const inner = await readMeetPoints(ports)
  requireMeetable(inner)
  const plan = withIds(planned, await startAfresh(ports, stages))
  const portOf = portFinder(ports)
  const kicked = options.keepsEpochs ? 1 : ports.length
  const meeting = await meetingPoints(plan, inner, stages)
  const {points} = meeting

  await undoingOnFailure(ports, meeting.undo, async () => {
    stages.begin('Assigning slots')
    await mapBounded(plan.primaries, 64, async ({id, slots, configEpoch, replicas}) => {
      await portOf(id).setConfigEpoch(configEpoch)
      const {first} = splitLast(slots, kicked)
      if (first.length > 0) await portOf(id).addSlots(first)
      await Promise.all(replicas.map((replica) => portOf(replica.id).setConfigEpoch(replica.configEpoch)))
    })
    stages.begin('Introducing the nodes to one another')
    await introduceFirst(meeting, stages)
    stages.signal?.throwIfAborted()
    await takeLastSlots(
      plan.primaries.flatMap(({id, slots}) => {
        const {last} = splitLast(slots, kicked)
        return last === undefined ? [] : [{port: portOf(id), slot: last}]
      }),
      (owner) => (ports.find((port) => port !== owner) ?? owner).id,
    )
    const slotsOf = new Map(plan.primaries.map(({id, slots}) => [id, countSlots(parseRanges(slots))]))
    await introduce(points, points, {
      deadlineMs: stages.leftMs,
      signal: stages.signal,
      haveMet: true,
      isDone: (view) => showsSlots(view, slotsOf),
    })
    stages.signal?.throwIfAborted()
  })

  const [seed] = ports
  await tellingHowFar(
    'the nodes are a cluster now, but were not seen to serve',
    `rcluster check ${seed ? formatAddress(seed.address) : ''}`,
    () => assignRolesAndWait(plan, points, stages),
  )
  return plan
}

interface Meeting {
  readonly points: readonly MeetPoint[]
  /** For the introductions. */
  readonly deadlineMs: number
  readonly undo: () => Promise<void>
}

/** Where the nodes reach one another: where they listen, or at the addresses that they are to announce to each other. */
async function meetingPoints(
  {announcement}: CreatePlan,
  inner: readonly MeetPoint[],
  stages: Stages,
): Promise<Meeting> {
  if (announcement?.way !== 'address') {
    return {points: inner, deadlineMs: Number.POSITIVE_INFINITY, undo: async () => {}}
  }
  stages.begin('Setting the announced addresses')
  const {points, undo} = await announceBefore(announcement, inner, stages)
  return {points, deadlineMs: TRY_ANNOUNCED_MS + TRY_EACH_MS * inner.length, undo}
}

async function introduceFirst({points, deadlineMs}: Meeting, stages: Stages): Promise<void> {
  const {signal, leftMs} = stages
  const work = (): Promise<void> =>
    introduce(points, points, {deadlineMs: Math.min(leftMs, deadlineMs), signal, isDone: () => true})
  if (deadlineMs === Number.POSITIVE_INFINITY) return work()
  await tellingHowFar(
    'that was at the addresses to be announced',
    'Or leave --announce out, and map the addresses in the clients: rcluster clients prints the settings',
    work,
  )
}

function withIds(plan: CreatePlan, idNow: (id: NodeId) => NodeId): CreatePlan {
  return {
    ...plan,
    primaries: plan.primaries.map((primary) => ({
      ...primary,
      id: idNow(primary.id),
      replicas: primary.replicas.map((replica) => ({...replica, id: idNow(replica.id)})),
    })),
  }
}

/** Second half: the nodes know one another and the slots have their owners. */
async function assignRolesAndWait(plan: CreatePlan, points: readonly MeetPoint[], stages: Stages): Promise<void> {
  const portOf = portFinder(points.map(({port}) => port))
  const replicas = plan.primaries.flatMap(({id, replicas: own}) =>
    own.map((replica) => ({id: replica.id, primaryId: id})),
  )
  const primaryPorts = plan.primaries.filter((primary) => primary.replicas.length > 0).map(({id}) => portOf(id))
  const allPorts = points.map(({port}) => port)
  await holdSetting(primaryPorts, SYNC_AT_ONCE, stages.listener, async () => {
    if (replicas.length > 0) {
      stages.begin('Assigning replicas')
      await mapBounded(replicas, 64, ({id, primaryId}) =>
        replicate(portOf(id), primaryId, stages.leftMs, stages.signal),
      )
      const replicaPoints = points.filter(({port}) => replicas.some(({id}) => id === port.id))
      await introduce(replicaPoints, points, {
        deadlineMs: stages.leftMs,
        signal: stages.signal,
        haveMet: true,
        isDone: (view) => showsRoles(view, replicas),
      })
    }
    stages.begin('Waiting until every node says that the cluster is up')
    await waitUntilUp(allPorts, stages.leftMs, stages.signal, stages.listener)
    await waitUntilLinked(
      replicas.map(({id}) => portOf(id)),
      stages.leftMs,
      stages.signal,
    )
  })
}

/** All but one slot is assigned before the nodes meet, see `takeLastSlots`; all at once where there is nobody to tell. */
function splitLast(text: string, nodeCount: number): {first: SlotRanges; last: number | undefined} {
  const ranges = parseRanges(text)
  const {start, end} = ranges.at(-1) ?? {start: 0, end: -1}
  if (nodeCount < 2 || end < 0) return {first: ranges, last: undefined}
  return {first: [...ranges.slice(0, -1), ...(end > start ? [{start, end: end - 1}] : [])], last: end}
}

function portFinder(ports: readonly NodePort[]): (id: NodeId) => NodePort {
  const portsById = new Map(ports.map((port) => [port.id, port]))
  return (id) => {
    const port = portsById.get(id)
    if (!port) throw new Error(`the plan names ${id}, which is not connected`)
    return port
  }
}

/**
 * Nodes that did not become a cluster are made what they were, empty and apart, so that the next try finds them so. A
 * reset takes no keys from a primary: the server refuses it when there are any.
 */
async function undoingOnFailure(
  ports: readonly NodePort[],
  undoSettings: () => Promise<void>,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    await undoSettings()
    const left = await resetAll(ports)
    if (!(error instanceof ClusterError)) throw error
    const undone =
      left.length === 0 ? 'all nodes were reset and are empty again' : `not reset: ${left.sort().join(', ')}`
    const facts = {details: {...error.details, notReset: left}, suggestions: error.suggestions, cause: error}
    throw new ClusterError(error.code, error.exitCode, `${error.message}; ${undone}`, facts)
  }
}

/**
 * A MEET that was on its way comes after the reset: who has heard one is reset once more.
 * @returns the addresses of those that are not alone.
 */
async function resetAll(ports: readonly NodePort[]): Promise<string[]> {
  const failed = new Set<NodePort>()
  const attempt = async <T>(port: NodePort, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (failure) {
      if (!(failure instanceof NodeError)) throw failure
      failed.add(port)
      return undefined
    }
  }
  await mapBounded(ports, 128, (port) => attempt(port, () => port.reset()))
  let acquainted: NodePort[] = []
  let quietLooks = 0
  await pollUntil(
    async () => {
      const asked = ports.filter((port) => !failed.has(port))
      const views = await mapBounded(asked, 128, (port) => attempt(port, () => port.readView()))
      acquainted = asked.filter((_, index) => (views[index]?.entries.length ?? 1) > 1)
      quietLooks = acquainted.length === 0 ? quietLooks + 1 : 0
      if (quietLooks === QUIET_LOOKS) return true
      await mapBounded(acquainted, 128, (port) => attempt(port, () => port.reset()))
      return undefined
    },
    {deadlineMs: UNDO_DEADLINE_MS, firstIntervalMs: 50, maxIntervalMs: 200},
  )
  return [...new Set([...failed, ...acquainted])].map(({address}) => formatAddress(address))
}

function showsSlots(view: NodeView, slotsOf: ReadonlyMap<NodeId, number>): boolean {
  const entriesById = new Map(view.entries.map((entry) => [entry.id, entry]))
  return [...slotsOf].every(([id, count]) => countSlots(entriesById.get(id)?.ranges ?? []) === count)
}
