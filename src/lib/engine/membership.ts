/**
 * How do nodes come to know one another, and when do all of them? MEET from everybody to everybody, repeated: a MEET to
 * a node that is known already is taken as a full ping, with slots, role and address, so nothing waits for gossip.
 * Every node has to *receive* a MEET on the address by which the others reach it: a node that once met itself as
 * 127.0.0.1 keeps that wrong address otherwise.
 */
import {isIP} from 'node:net'
import {InterruptedError, NodeError, RefusedError} from '../errors.ts'
import {insideAddresses, isLoopback, passageTo} from '../topology/inside-address.ts'
import {formatAddress, isSocket, type NodeAddress, type NodeId, type NodeView} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import {copyTeller} from './copy-teller.ts'
import type {EngineListener} from './events.ts'
import {type HeldSetting, holdSetting} from './hold-setting.ts'
import {asPeersDial} from './session.ts'
import {mapBounded, pollUntil} from './waiting.ts'

/** Where the other servers reach a node. */
export interface MeetPoint {
  readonly port: NodePort
  readonly address: NodeAddress
  readonly busPort: number
}

/** Looks at each node and tells where the others can reach it. `wayTo`: as those who know it already do. */
export async function readMeetPoints(
  ports: readonly NodePort[],
  wayTo?: (id: NodeId) => Promise<NodeAddress | undefined>,
): Promise<MeetPoint[]> {
  return mapBounded(ports, 128, async (port) => {
    const view = await port.readView()
    const self = view.entries.find((entry) => entry.isMyself)
    const seen = (await wayTo?.(port.id)) ?? (insideAddresses(passageTo(view), undefined)[0] as NodeAddress)
    const address = await asPeersDial(port, (await announcedInstead(port, self?.announced, seen)) ?? seen)
    return {port, address, busPort: self && self.busPort > 0 ? self.busPort : address.port + 10_000}
  })
}

/** What is announced on purpose the others have to use: from their first handshake on they go by it. */
async function announcedInstead(
  port: NodePort,
  own: NodeAddress | undefined,
  seen: NodeAddress,
): Promise<NodeAddress | undefined> {
  if (!own || isIP(own.host) === 0 || own.host === seen.host) return undefined
  if (isLoopback(own.host) && !isLoopback(seen.host)) return undefined
  try {
    // Without it a node keeps what it once was told, through changes of address and CLUSTER RESET HARD.
    return (await port.readConfig('cluster-announce-ip')) === own.host ? own : undefined
  } catch (error) {
    if (error instanceof NodeError) return undefined
    throw error
  }
}

/**
 * @throws RefusedError when two nodes would be met at one address, or some at a loopback address that the others, which
 *   are elsewhere, cannot mean.
 */
export function requireMeetable(points: readonly MeetPoint[]): void {
  const [local] = points.filter(({address}) => isSocket(address))
  if (local) {
    throw new RefusedError(
      'target-unfit',
      `of the node at ${formatAddress(local.address)} it cannot be told where other nodes reach it: it has no other address yet, and does not answer on one of this machine's`,
      {suggestions: ['Name it by the address at which the other nodes reach it']},
    )
  }
  const seen = new Map<string, MeetPoint>()
  for (const point of points) {
    const key = formatAddress(point.address)
    const twin = seen.get(key)
    if (twin) {
      throw new RefusedError(
        'target-unfit',
        `${formatAddress(twin.port.address)} and ${formatAddress(point.port.address)} both call themselves ${key}: they cannot reach each other there`,
        {suggestions: ['Reach the nodes by addresses at which they also reach each other']},
      )
    }
    seen.set(key, point)
  }
  const loopback = points.filter(({address}) => isLoopback(address.host))
  if (loopback.length > 0 && loopback.length < points.length) {
    throw new RefusedError(
      'target-unfit',
      `${loopback.map(({address}) => formatAddress(address)).join(', ')} would be met at a loopback address, which nodes on other hosts cannot reach`,
      {suggestions: ['Name every node by the address at which the other nodes reach it']},
    )
  }
}

export interface JoinOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  /** True when this view says what every one should, besides that it contains all nodes. */
  readonly isDone: (view: NodeView) => boolean
  /** They know one another already, and may have told each other what is new: look before the first MEET. */
  readonly haveMet?: boolean
}

/** How long something may be missing before it is met again: each node shakes every other's hand in that time. */
const MEET_AGAIN_MS = 150
const HANDSHAKE_MS = 10

/**
 * Introduces every node of `newcomers` to every node of `all`, both ways, until all views contain all nodes and
 * `isDone` holds.
 * @throws InterruptedError naming the nodes that do not know one another when the deadline passes.
 */
export async function introduce(
  newcomers: readonly MeetPoint[],
  all: readonly MeetPoint[],
  options: JoinOptions,
): Promise<void> {
  const isNew = new Set(newcomers.map(({port}) => port.id))
  const meetings = all.flatMap((speaker, from) =>
    all.flatMap((other, to) =>
      // Among acquaintances only the speaker tells something: nobody reads the answer.
      other !== speaker && (isNew.has(speaker.port.id) || (isNew.has(other.port.id) && !options.haveMet))
        ? [{speaker, other, isFirst: speaksFirst(from, to, all.length)}]
        : [],
    ),
  )
  const meetAll = (pairs: typeof meetings): Promise<unknown> =>
    Promise.all(pairs.map(({speaker, other}) => unlessLoading(speaker.port.meet(other.address, other.busPort))))

  const isKnownToAll = lookout(all, (view) => knowsAll(view, all))
  const isDone = lookout(all, (view) => knowsAll(view, all) && options.isDone(view))
  const againMs = MEET_AGAIN_MS + HANDSHAKE_MS * all.length
  let metAt = performance.now()
  let rounds = 1
  let areKnown = false
  if (options.haveMet && (await isDone())) return
  await meetAll(options.haveMet ? meetings : meetings.filter(({isFirst}) => isFirst))
  const joined = await pollUntil(
    async () => {
      // The packets of a handshake do not carry slots: what is missing then, a MEET among acquaintances brings.
      const wereKnown = areKnown
      areKnown ||= await isKnownToAll()
      if (areKnown && (await isDone())) return true
      if ((wereKnown !== areKnown && !options.haveMet) || performance.now() - metAt > againMs * rounds) {
        rounds++
        metAt = performance.now()
        await meetAll(meetings)
      }
      return undefined
    },
    {deadlineMs: options.deadlineMs, maxIntervalMs: 100, signal: options.signal},
  )
  if (joined) return
  options.signal?.throwIfAborted()
  const strangers = strangersOf(await readViews(all), all)
  const lines = strangers
    .slice(0, 5)
    .map(
      ({viewer, stranger}) =>
        `${formatAddress(viewer.address)} does not know ${formatAddress(stranger.address)} (bus port ${stranger.busPort})`,
    )
  const text = lines.length > 0 ? lines.join('; ') : 'the nodes know one another but do not agree on slots and roles'
  throw new InterruptedError(`the nodes did not join within ${Math.round(options.deadlineMs / 1000)} s: ${text}`, {
    details: {missing: strangers.length},
    suggestions: [
      'Every node must reach every other on its client port and on its bus port (usually client port + 10000)',
    ],
  })
}

/**
 * Of two nodes that are to meet, one speaks first: two that do at once leave each other handshakes that last until they
 * expire. Everybody speaks to the half of the nodes behind it in a circle, so that everybody is spoken to as well.
 */
function speaksFirst(from: number, to: number, count: number): boolean {
  if (count === 2) return true
  const distance = (to - from + count) % count
  return distance * 2 < count || (distance * 2 === count && from < to)
}

function strangersOf(
  views: readonly NodeView[],
  all: readonly MeetPoint[],
): {viewer: MeetPoint; stranger: MeetPoint}[] {
  const pointsById = new Map<NodeId, MeetPoint>(all.map((point) => [point.port.id, point]))
  return views.flatMap((view) => {
    const known = knownTo(view)
    const viewer = pointsById.get(view.id)
    return viewer ? all.filter((other) => !known.has(other.port.id)).map((stranger) => ({viewer, stranger})) : []
  })
}

function knownTo(view: NodeView): ReadonlySet<NodeId> {
  return new Set(view.entries.filter((entry) => !entry.flags.has('handshake')).map((entry) => entry.id))
}

function knowsAll(view: NodeView, all: readonly MeetPoint[]): boolean {
  const known = knownTo(view)
  return all.every(({port}) => known.has(port.id))
}

/**
 * Tells, whenever asked, whether the views of all nodes are good. Asks one node that was not good the last time before
 * it asks them all: the nodes have more to do than to tell us about one another.
 */
export function lookout(points: readonly MeetPoint[], isGood: (view: NodeView) => boolean): () => Promise<boolean> {
  let laggard = points[0]
  const isGoodAt = async ({port}: MeetPoint): Promise<boolean> => {
    const view = await unlessLoading(port.readView())
    return view !== undefined && isGood(view)
  }
  return async () => {
    if (laggard && !(await isGoodAt(laggard))) return false
    const verdicts = await mapBounded(points, 128, isGoodAt)
    laggard = points[verdicts.indexOf(false)]
    return laggard === undefined
  }
}

async function readViews(points: readonly MeetPoint[]): Promise<NodeView[]> {
  const views = await mapBounded(points, 128, ({port}) => unlessLoading(port.readView()))
  return views.filter((view) => view !== undefined)
}

/** undefined while the node loads its data, as a replica does in its first synchronisation: it answers nothing then. */
async function unlessLoading<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof NodeError && error.failure === 'loading') return undefined
    throw error
  }
}

/** For the epoch of one kick to reach the next node, before the nodes are left to sort equal epochs out. */
const EPOCH_TRAVELS_MS = 300

/**
 * Gives each owner its last slot, in a way that makes it tell all others its whole slot map at once: an import that
 * ends. The others must know it already. It takes a new config epoch with that, one above all that it has heard of: one
 * node after the other, as soon as it has heard of the one before, so that no two take the same.
 */
export async function takeLastSlots(
  owners: readonly {readonly port: NodePort; readonly slot: number}[],
  giverOf: (owner: NodePort) => NodeId,
): Promise<void> {
  let latest = 0
  for (const {port, slot} of owners) {
    await pollUntil(async () => ((await port.readClusterInfo()).currentEpoch >= latest ? true : undefined), {
      deadlineMs: EPOCH_TRAVELS_MS,
      firstIntervalMs: 1,
      maxIntervalMs: 10,
    })
    const [, , info] = await Promise.all([
      port.setImporting(slot, giverOf(port)),
      port.assignSlot(slot, port.id),
      port.readClusterInfo(),
    ])
    latest = info.currentEpoch
  }
}

/** Does the view show each of `replicas` as what it is? */
export function showsRoles(
  view: NodeView,
  replicas: readonly {readonly id: NodeId; readonly primaryId: NodeId}[],
): boolean {
  const entriesById = new Map(view.entries.map((entry) => [entry.id, entry]))
  return replicas.every(({id, primaryId}) => {
    const entry = entriesById.get(id)
    return entry?.role === 'replica' && entry.primaryId === primaryId
  })
}

/** Does every view show `id` as a replica of `primaryId`? */
export function isReplicaEverywhere(views: readonly NodeView[], id: NodeId, primaryId: NodeId): boolean {
  return views.every((view) => showsRoles(view, [{id, primaryId}]))
}

/**
 * REPLICATE, tried again while the replica does not know its primary yet or is still loading.
 * @throws NodeError of the last try, or why it was stopped.
 */
export async function replicate(
  port: NodePort,
  primaryId: NodeId,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  let last: unknown
  const done = await pollUntil(
    async () => {
      try {
        await port.replicate(primaryId)
        return true
      } catch (error) {
        if (!(error instanceof NodeError && (error.failure === 'unknown-node' || error.failure === 'loading')))
          throw error
        last = error
        return undefined
      }
    },
    {deadlineMs, signal},
  )
  if (done) return
  signal?.throwIfAborted()
  throw last
}

/**
 * Waits for the first synchronisation.
 * @throws InterruptedError naming the replicas whose link is not up at the deadline.
 */
export async function waitUntilLinked(
  replicas: readonly NodePort[],
  deadlineMs: number,
  signal: AbortSignal | undefined,
  listener?: EngineListener,
): Promise<void> {
  let unlinked: readonly string[] = []
  const tellCopies = copyTeller(listener)
  const linked = await pollUntil(
    async () => {
      const views = await mapBounded(replicas, 64, (port) => unlessLoading(port.readView()))
      const waiting = replicas.filter((_, index) => views[index]?.serverInfo.isPrimaryLinkUp !== true)
      unlinked = waiting.map(({address}) => formatAddress(address))
      if (waiting.length === 0) return true
      return (await tellCopies(waiting)) ? undefined : false
    },
    {deadlineMs, signal},
  )
  if (linked) return
  signal?.throwIfAborted()
  throw new InterruptedError(`${unlinked.join(', ')} joined, but the replication link to the primary is not up yet`, {
    suggestions: [
      'If the servers want a password, set masterauth (and masteruser) on the replica',
      'See with rcluster check when the link is up',
    ],
  })
}

/**
 * How long a node waits after it was alone before it believes in its cluster again: cluster-node-timeout, at least 0.5
 * and at most 5 s. An empty node counts as alone, so at the default of 15 s every new one takes the 5 s. Not the least
 * possible: nodes of a busy machine that hear nothing for half a second may take each other for dead, and fail over.
 */
const REJOIN_SOON: HeldSetting = {name: 'cluster-node-timeout', value: '1000'}
const REJOIN_SOON_MS = 1500

/**
 * Waits until every node says that the cluster is up. Those that do not yet get a short cluster-node-timeout for the
 * blink in which they judge anew.
 * @throws InterruptedError naming those that do not say so at the deadline.
 */
export async function waitUntilUp(
  ports: readonly NodePort[],
  deadlineMs: number,
  signal: AbortSignal | undefined,
  listener: EngineListener | undefined,
): Promise<void> {
  let down = await stillDownAfter(0, ports, signal)
  if (down.length === 0) return
  down = await holdSetting(down, REJOIN_SOON, listener, () =>
    stillDownAfter(Math.min(REJOIN_SOON_MS, deadlineMs), ports, signal),
  )
  if (down.length > 0) down = await stillDownAfter(deadlineMs, ports, signal)
  if (down.length === 0) return
  signal?.throwIfAborted()
  const names = down.map(({address}) => formatAddress(address)).join(', ')
  throw new InterruptedError(`all nodes have joined, but ${names} did not serve yet (cluster_state fail)`, {
    suggestions: ['See with rcluster check why'],
  })
}

async function stillDownAfter(
  deadlineMs: number,
  ports: readonly NodePort[],
  signal: AbortSignal | undefined,
): Promise<readonly NodePort[]> {
  let down = ports
  const look = async (): Promise<true | undefined> => {
    const infos = await mapBounded(ports, 128, (port) => unlessLoading(port.readClusterInfo()))
    down = ports.filter((_, index) => infos[index]?.state !== 'ok')
    return down.length === 0 ? true : undefined
  }
  await pollUntil(look, {deadlineMs, maxIntervalMs: 100, signal})
  return down
}
