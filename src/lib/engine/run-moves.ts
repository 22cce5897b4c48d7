/**
 * How is a plan of slot moves carried out? Settle, probe, hold the emptied shards in place, move group after group with
 * independent pairs side by side, look again. Safe to run again at any point: what is done is seen, not remembered.
 */
import {ClusterError, InterruptedError, NodeError} from '../errors.ts'
import type {MovePlan, SlotMove} from '../plan/plan.ts'
import {countSlots, formatSlots} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {primaries, slotsOf} from '../topology/queries.ts'
import type {BatchLimits} from './batches.ts'
import type {NodePort} from './cluster-port.ts'
import type {ConflictPolicy, DrainOptions, Pair} from './drain.ts'
import type {EngineListener} from './events.ts'
import {PairGate} from './gate.ts'
import {formGroups, type Group, movesByPair} from './groups.ts'
import {type HeldAt, holdSetting, STAY_PUT} from './hold-setting.ts'
import {formJobs, type Job} from './jobs.ts'
import {
  closeUntouched,
  countInAllDatabases,
  type GroupProgress,
  type GroupSlot,
  type MoverContext,
  moveGroup,
} from './migrate-mover.ts'
import {moveJob} from './move-job.ts'
import {DEFAULT_MAX_PAUSE_MS, Pace} from './pace.ts'
import {requireMovable, waitForForeignMigrations} from './preflight.ts'
import {backoffMs, isTransient, MAX_ATTEMPTS} from './retrying.ts'
import {type ClusterSession, internalAddress} from './session.ts'
import {viewsOf, waitUntilSettled} from './settle.ts'
import {readOwnWords, ShardsAtStart} from './shards-at-start.ts'
import {OwnWord} from './steps.ts'
import {mapBounded, orAbort, pause, pollUntil} from './waiting.ts'
import {wavesOf} from './waves.ts'

export interface RunOptions {
  /** Finish what is in flight, start nothing new. */
  readonly stop?: AbortSignal | undefined
  /** Stop at once: slots in flight stay open. */
  readonly abort?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
  /** Instead of what `maxPauseMs` gives. */
  readonly limits?: BatchLimits | undefined
  /** How long one MIGRATE should hold its source. */
  readonly maxPauseMs?: number | undefined
  /** Over all nodes together. */
  readonly maxBytesPerSecond?: number | undefined
  readonly conflicts?: ConflictPolicy | undefined
  /** Of a MIGRATE, instead of one that fits what it carries. */
  readonly migrateTimeoutMs?: number | undefined
  /** A primary that gives up its last slot does as its own settings say: by default it follows who took it. */
  readonly mayFollow?: boolean | undefined
  /** Passes of MIGRATE that a node takes part in at once; default 1. */
  readonly concurrency?: number | undefined
  /** Where atomic slot migration fails, the run ends; otherwise it goes on key by key. */
  readonly isAtomicOnly?: boolean | undefined
  /** Told which settings are changed for the time of the run, so that a run after a kill -9 can restore them. */
  readonly onHeld?: ((held: readonly HeldAt[]) => void) | undefined
}

export interface MoveOutcome {
  readonly kind: 'done' | 'stopped'
  readonly slotsMoved: number
  readonly keysMoved: number
  readonly elapsedMs: number
  readonly worstPauseMs: number
  /** Of `slotsMoved`, how many the servers moved by themselves. */
  readonly slotsMovedAtomically: number
  /** Moves that were not begun. */
  readonly left: readonly SlotMove[]
}

const SETTLE_DEADLINE_MS = 15_000
/** Groups of a pair that are under way together: one opens and one closes while one moves keys. */
const GROUPS_IN_FLIGHT = 3
/** Groups that one node may have open at once, over all its pairs. */
const GROUPS_PER_NODE = 4

/**
 * @throws RefusedError when the cluster is not fit and nothing was changed; InterruptedError when part of the plan was
 *   applied, with `details.left`, `details.openSlots` and `details.slotsMoved`.
 */
export async function runMoves(
  session: ClusterSession,
  plan: MovePlan,
  options: RunOptions = {},
): Promise<MoveOutcome> {
  return new MoveRun(session, plan, options).run()
}

class MoveRun {
  readonly #session: ClusterSession
  readonly #plan: MovePlan
  readonly #options: RunOptions
  readonly #listener: EngineListener
  readonly #migrateGate: PairGate
  readonly #groupGate = new PairGate(GROUPS_PER_NODE)
  readonly #jobGate = new PairGate(1)
  readonly #hostGate = new PairGate(1)
  readonly #pace: Pace
  readonly #slotsWithBigKeys: ReadonlySet<number>
  readonly #done = new Set<number>()
  readonly #opened = new Set<number>()
  #words: ReadonlyMap<NodeId, OwnWord> = new Map()
  #shards!: ShardsAtStart
  #keysMoved = 0
  #worstPauseMs = 0
  #slotsMovedAtomically = 0
  #failure: {error: unknown} | undefined
  readonly #startedAt = performance.now()

  constructor(session: ClusterSession, plan: MovePlan, options: RunOptions) {
    this.#session = session
    this.#plan = plan
    this.#options = options
    this.#migrateGate = new PairGate(options.concurrency ?? 1)
    this.#slotsWithBigKeys = new Set(plan.bigKeys?.keys.map(({slot}) => slot))
    this.#pace = new Pace({
      maxPauseMs: options.maxPauseMs ?? DEFAULT_MAX_PAUSE_MS,
      maxBytesPerSecond: options.maxBytesPerSecond,
      abort: options.abort,
    })
    this.#listener = (event) => {
      if (event.kind === 'keys-moved') {
        this.#keysMoved += event.keys
        this.#worstPauseMs = Math.max(this.#worstPauseMs, event.pauseMs ?? 0)
      }
      if (event.kind === 'slots-moved') for (const slot of event.slots) this.#done.add(slot)
      options.listener?.(event)
    }
  }

  async run(): Promise<MoveOutcome> {
    if (this.#plan.moves.length === 0) return this.#outcome('done')
    await waitForForeignMigrations(this.#session, this.#plan, this.#listener, this.#options.stop)
    this.#listener({kind: 'phase', text: 'Waiting for all nodes to agree'})
    const topology = await waitUntilSettled(this.#session, {deadlineMs: SETTLE_DEADLINE_MS, signal: this.#options.stop})
    this.#words = new Map(viewsOf(topology).map((view) => [view.id, new OwnWord(view)]))
    this.#shards = new ShardsAtStart(topology)
    const counts = await this.#countAndProbe(topology)
    const keys = [...counts.values()].reduce((sum, count) => sum + count, 0)
    this.#listener({kind: 'moves-started', slots: this.#plan.moves.length, keys})
    const moveAll = async (): Promise<void> => {
      const waves = wavesOf(movesByPair(this.#plan.moves), ([first]) => first as SlotMove)
      for (const [index, pairs] of waves.entries()) {
        if (index > 0 && !(await this.#isSettledAgain())) break
        await Promise.all(pairs.map((moves) => this.#movePair(moves, counts, topology)))
      }
      await this.#verify()
    }
    this.#pace.watch(this.#endsOfMigrates())
    try {
      const toHold = this.#options.mayFollow ? [] : this.#emptiedShards(topology)
      await holdSetting(toHold, STAY_PUT, this.#listener, moveAll, this.#options.onHeld)
    } finally {
      this.#pace.close()
    }
    return this.#outcome(this.#left().length > 0 ? 'stopped' : 'done')
  }

  /** Between two waves: the first has changed config epochs that the second goes by. */
  async #isSettledAgain(): Promise<boolean> {
    if (this.#isStopping) return false
    try {
      await waitUntilSettled(this.#session, {deadlineMs: SETTLE_DEADLINE_MS, signal: this.#options.stop})
    } catch (error) {
      if (!this.#isStopping) this.#failure = {error}
    }
    return !this.#isStopping
  }

  #left(): SlotMove[] {
    return this.#plan.moves.filter(({slot}) => !this.#done.has(slot))
  }

  #outcome(kind: 'done' | 'stopped'): MoveOutcome {
    return {
      kind,
      slotsMoved: this.#done.size,
      keysMoved: this.#keysMoved,
      elapsedMs: performance.now() - this.#startedAt,
      worstPauseMs: this.#worstPauseMs,
      slotsMovedAtomically: this.#slotsMovedAtomically,
      left: this.#left(),
    }
  }

  async #pairOf(from: NodeId, to: NodeId): Promise<Pair> {
    const source = this.#session.node(from)
    const target = this.#session.node(to)
    const databaseCount = await source.readDatabaseCount()
    return {source, target, targetAddress: internalAddress(target), databaseCount}
  }

  async #countAndProbe(topology: Topology): Promise<Map<number, number>> {
    this.#listener({kind: 'phase', text: 'Counting keys and trying the way'})
    const counts = new Map<number, number>()
    const isOpen = new Set(topology.openSlots.map(({slot}) => slot))
    const toProbe = await mapBounded(movesByPair(this.#plan.moves), 64, async (moves) => {
      const [first] = moves as [SlotMove]
      const pair = await this.#pairOf(first.from, first.to)
      if (isKnownEmpty(topology, first.from)) return {pair, slotsWithKeys: []}
      await mapBounded(moves, 512, async ({slot}) => {
        counts.set(slot, await countInAllDatabases(pair.source, slot, pair.databaseCount))
      })
      // Servers that move slots by themselves find their own way; should they fail, MIGRATE is tried without a probe.
      const slotsWithKeys = this.#isAtomic(first)
        ? []
        : moves.map(({slot}) => slot).filter((slot) => !isOpen.has(slot) && (counts.get(slot) ?? 0) > 0)
      return {pair, slotsWithKeys}
    })
    await requireMovable(toProbe)
    return counts
  }

  /** The reached members of shards that the plan leaves without a slot. */
  #emptiedShards(topology: Topology): NodePort[] {
    const {moves} = this.#plan
    const arriving = new Set(moves.map((move) => move.to))
    return topology.shards
      .filter(({primary: {id}}) => {
        const left = moves.filter((move) => move.from === id).length
        return left > 0 && left >= countSlots(slotsOf(topology, id)) && !arriving.has(id)
      })
      .flatMap(({primary, replicas}) => [primary, ...replicas])
      .filter(({reach}) => reach.kind === 'reached')
      .map(({id}) => this.#session.node(id))
  }

  get #isStopping(): boolean {
    return (
      this.#failure !== undefined || (this.#options.stop?.aborted ?? false) || (this.#options.abort?.aborted ?? false)
    )
  }

  #isAtomic({from, to}: {from: NodeId; to: NodeId}): boolean {
    return this.#plan.movers.some((pair) => pair.from === from && pair.to === to && pair.mover === 'atomic')
  }

  #endsOfMigrates(): NodePort[] {
    const moves = this.#plan.moves.filter((move) => !this.#isAtomic(move))
    return [...new Set(moves.flatMap(({from, to}) => [from, to]))].map((id) => this.#session.node(id))
  }

  /** The slots of one pair: those that are open already key by key, as they were begun. */
  async #movePair(moves: readonly SlotMove[], counts: ReadonlyMap<number, number>, topology: Topology): Promise<void> {
    const [first] = moves
    if (!first || !this.#isAtomic(first)) return this.#moveGroups(formGroups(moves, counts))
    const isOpen = new Set(topology.openSlots.map(({slot}) => slot))
    await this.#moveGroups(
      formGroups(
        moves.filter(({slot}) => isOpen.has(slot)),
        counts,
      ),
    )
    const [source, target] = this.#wordsAtStart(first.from, first.to)
    const whole = moves.filter(({slot}) => !isOpen.has(slot))
    const left = new Set(
      this.#shards
        .outlooks(
          source,
          target,
          whole.map(({slot}) => slot),
        )
        .map(({slot}) => slot),
    )
    const done = whole.map(({slot}) => slot).filter((slot) => !left.has(slot))
    if (done.length > 0) this.#listener({kind: 'slots-moved', slots: done, from: first.from, to: first.to})
    await this.#moveJobs(
      formJobs(
        whole.filter(({slot}) => left.has(slot)),
        counts,
      ),
      counts,
    )
  }

  /**
   * One after the other: each node takes part in one migration at a time, and each host gives from one node at a time. A
   * source forks and sends as fast as it can: three of them on two cores held clients for 190 ms, one by one for 30.
   */
  async #moveJobs(jobs: readonly Job[], counts: ReadonlyMap<number, number>): Promise<void> {
    for (const [index, job] of jobs.entries()) {
      const {host} = this.#session.node(job.from).address
      const outcome = await this.#hostGate.pass(host, host, () =>
        this.#jobGate.pass(job.from, job.to, async () => {
          if (this.#isStopping) return undefined
          try {
            return await this.#moveJob(job)
          } catch (error) {
            this.#failure ??= {error}
            return undefined
          }
        }),
      )
      if (!outcome) return
      if (outcome.kind === 'moved') continue
      if (this.#options.isAtomicOnly) {
        this.#failure ??= {error: new InterruptedError(`atomic slot migration failed: ${outcome.reason}`)}
        return
      }
      this.#listener({kind: 'note', text: `Going on key by key, since atomic slot migration failed: ${outcome.reason}`})
      const rest = jobs.slice(index).flatMap(({from, to, slots}) => slots.map((slot) => ({slot, from, to})))
      return this.#moveGroups(formGroups(rest, counts))
    }
  }

  async #moveJob(job: Job): Promise<Awaited<ReturnType<typeof moveJob>>> {
    const {from, to, slots, keys} = job
    const outcome = await moveJob(
      {session: this.#session, shards: this.#shards, listener: this.#listener, abort: this.#options.abort},
      job,
    )
    if (outcome.kind === 'moved') {
      const bytes = Math.round(keys * bytesPerKey(this.#session.topology, from))
      this.#listener({kind: 'keys-moved', keys, bytes, pauseMs: outcome.writePauseMs, from, to})
      this.#listener({kind: 'slots-moved', slots, from, to})
      this.#slotsMovedAtomically += slots.length
    }
    return outcome
  }

  async #moveGroups(groups: readonly Group[]): Promise<void> {
    await mapBounded(groups, GROUPS_IN_FLIGHT, async (group) => {
      if (this.#isStopping) return
      await this.#groupGate.pass(group.from, group.to, async () => {
        if (this.#isStopping) return
        try {
          await this.#moveGroupWithRetries(group)
        } catch (error) {
          this.#failure ??= {error}
        }
      })
    })
  }

  /** Looks, does what is left, and looks again after whatever passes by itself. */
  async #moveGroupWithRetries(group: Group): Promise<void> {
    const progress: GroupProgress = {sourceIsAuthority: new Set(), begun: new Set()}
    let {from, to} = group
    for (let attempt = 1; ; attempt++) {
      let context: MoverContext | undefined
      try {
        if (attempt > 1) ({from, to} = await this.#followFailovers(from, to, progress))
        const pair = await this.#pairOf(from, to)
        const [source, target] = attempt > 1 ? await readOwnWords(pair) : this.#wordsAtStart(from, to)
        const slots = this.#shards.outlooks(source, target, group.slots)
        for (const {slot} of slots) this.#opened.add(slot)
        context = {
          pair,
          bystanders: this.#bystanders(from, to),
          drain: this.#drainOptions(from, to),
          knownSourceEpoch: knownEpoch(this.#session.topology, to, from),
        }
        await orAbort(moveGroup(context, slots, progress), this.#options.abort)
        this.#listener({kind: 'slots-moved', slots: group.slots, from, to})
        return
      } catch (error) {
        const isHopeless = !isTransient(error) || attempt >= MAX_ATTEMPTS || this.#options.abort?.aborted
        if (isHopeless) {
          if (context) await this.#closeWhatCanBe(context, group.slots, progress)
          throw error
        }
        this.#listener({kind: 'retry', slots: group.slots, attempt, reason: (error as Error).message})
        await pause(backoffMs(attempt), this.#options.abort)
      }
    }
  }

  /**
   * After a failure: a shard whose primary changed is followed to the new one. The marks did not follow (before Valkey
   * 8), so nothing is known any more about whose copy of a key is the owner's.
   */
  async #followFailovers(from: NodeId, to: NodeId, progress: GroupProgress): Promise<{from: NodeId; to: NodeId}> {
    const topology = await this.#session.observe()
    const next = {from: this.#shards.leaderOf(topology, from), to: this.#shards.leaderOf(topology, to)}
    if (next.from !== from || next.to !== to) progress.sourceIsAuthority.clear()
    return next
  }

  #drainOptions(from: NodeId, to: NodeId): DrainOptions {
    return {
      limits: () => this.#options.limits ?? this.#pace.limitsAt(from),
      conflicts: this.#options.conflicts ?? 'fail',
      pass: (work) =>
        this.#migrateGate.pass(from, to, async () => {
          await this.#pace.ready(from, to)
          return work()
        }),
      listener: (event) => {
        if (event.kind === 'keys-moved') this.#pace.note(from, event, event.pauseMs ?? 0)
        this.#listener(event)
      },
      slotsWithBigKeys: this.#slotsWithBigKeys,
      timeoutMs: this.#options.migrateTimeoutMs,
      abort: this.#options.abort,
    }
  }

  #wordsAtStart(from: NodeId, to: NodeId): [OwnWord, OwnWord] {
    const wordOf = (id: NodeId): OwnWord => {
      const word = this.#words.get(id)
      if (!word) throw new NodeError('closed', id, `node ${id.slice(0, 8)} did not answer`)
      return word
    }
    return [wordOf(from), wordOf(to)]
  }

  #bystanders(from: NodeId, to: NodeId): MoverContext['bystanders'] {
    return primaries(this.#session.topology)
      .filter((node) => node.reach.kind === 'reached' && node.id !== from && node.id !== to)
      .map((node) => this.#session.node(node.id))
  }

  /**
   * No slot stays open that can be closed: those that are empty at the source go forward, those of which nothing has
   * moved go back.
   */
  async #closeWhatCanBe(context: MoverContext, slots: readonly number[], progress: GroupProgress): Promise<void> {
    if (this.#options.abort?.aborted) return
    const {pair} = context
    const {source, target, databaseCount} = pair
    try {
      const [sourceWord, targetWord] = await readOwnWords(pair)
      const open = this.#shards.outlooks(sourceWord, targetWord, slots)
      const drained: GroupSlot[] = []
      for (const entry of open) {
        const isBegun = progress.begun.has(entry.slot) || !entry.steps.includes('assign-target')
        if (isBegun && (await countInAllDatabases(source, entry.slot, databaseCount)) === 0) drained.push(entry)
      }
      await moveGroup(context, drained, progress)
      const undone = new Set(open.filter((entry) => !drained.includes(entry)).map(({slot}) => slot))
      const moved = slots.filter((slot) => !undone.has(slot))
      if (moved.length > 0) this.#listener({kind: 'slots-moved', slots: moved, from: source.id, to: target.id})
      const stillOpen = await closeUntouched(pair, [...undone])
      for (const slot of undone) if (!stillOpen.includes(slot)) this.#opened.delete(slot)
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error
    }
  }

  /** All reached nodes must have the new owners; a source that kept its mark is told once more. */
  async #verify(): Promise<void> {
    if (this.#options.abort?.aborted) throw this.#interrupted(this.#options.abort.reason)
    if (this.#failure) throw this.#interrupted(this.#failure.error)
    if (this.#done.size === 0) return
    this.#listener({kind: 'phase', text: 'Checking that all nodes agree'})
    const moved = this.#plan.moves.filter(({slot}) => this.#done.has(slot))
    const isSettled = await pollUntil(
      async () => {
        const topology = await this.#session.refresh()
        const lagging = moved.filter(({slot, to}) => !this.#shards.membersOf(to).has(topology.owners[slot] ?? ''))
        const marked = topology.openSlots.filter(({slot}) => this.#done.has(slot))
        for (const {slot, migrating} of marked) {
          const owner = topology.owners[slot]
          for (const {node} of migrating) {
            if (owner && node !== owner)
              await this.#session
                .node(node)
                .assignSlot(slot, owner)
                .catch(() => undefined)
          }
        }
        return lagging.length === 0 && marked.length === 0 && topology.disagreements.length === 0 ? true : undefined
      },
      {deadlineMs: SETTLE_DEADLINE_MS, signal: this.#options.abort},
    )
    if (!isSettled) throw this.#interrupted(new Error('the slots have moved, but not all nodes agree yet'))
  }

  #interrupted(cause: unknown): InterruptedError {
    const left = this.#left()
    const openSlots = left.map(({slot}) => slot).filter((slot) => this.#opened.has(slot))
    const because = cause instanceof Error ? cause.message : String(cause)
    const total = this.#plan.moves.length
    const howOpen = this.#options.abort?.aborted ? 'maybe open' : 'open'
    const open = openSlots.length > 0 ? `; ${howOpen}: ${formatSlots(openSlots)}` : ''
    const details = cause instanceof ClusterError ? cause.details : {}
    return new InterruptedError(`${this.#done.size} of ${total} slots moved, then: ${because}${open}`, {
      details: {...details, slotsMoved: this.#done.size, keysMoved: this.#keysMoved, left, openSlots},
      suggestions: cause instanceof ClusterError ? cause.suggestions : [],
      cause,
    })
  }
}

/** 0 where the node does not tell. */
function bytesPerKey(topology: Topology, id: NodeId): number {
  const reach = topology.nodesById.get(id)?.reach
  if (reach?.kind !== 'reached') return 0
  const {usedMemoryBytes, keysByDatabase} = reach.view.serverInfo
  const keys = [...keysByDatabase.values()].reduce((sum, count) => sum + count, 0)
  return keys === 0 ? 0 : (usedMemoryBytes ?? 0) / keys
}

/** Does the node say that it holds no key at all? */
function isKnownEmpty(topology: Topology, node: NodeId): boolean {
  const reach = topology.nodesById.get(node)?.reach
  if (reach?.kind !== 'reached') return false
  const {version, keysByDatabase} = reach.view.serverInfo
  // Where INFO is forbidden, its silence means nothing.
  return version !== '' && keysByDatabase.size === 0
}

/** Which config epoch of `about` does `node` know? */
function knownEpoch(topology: Topology, node: NodeId, about: NodeId): number {
  const reach = topology.nodesById.get(node)?.reach
  if (reach?.kind !== 'reached') return -1
  return reach.view.entries.find((entry) => entry.id === about)?.configEpoch ?? -1
}
