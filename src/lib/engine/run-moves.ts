/**
 * How is a plan of slot moves carried out? Settle, probe, hold the emptied shards in place, move group after group with
 * independent pairs side by side, look again. Safe to run again at any point: what is done is seen, not remembered.
 */
import {ClusterError, InterruptedError, NodeError} from '../errors.ts'
import type {MovePlan, SlotMove} from '../plan/plan.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {primaries, slotsOf} from '../topology/queries.ts'
import type {BatchLimits} from './batches.ts'
import {closeWhatCanBe} from './close-group.ts'
import type {NodePort} from './cluster-port.ts'
import type {ConflictPolicy, DrainOptions, Pair} from './drain.ts'
import type {EngineListener} from './events.ts'
import {PairGate} from './gate.ts'
import {formGroups, type Group, movesByPair} from './groups.ts'
import {type HeldAt, holdSetting, STAY_PUT} from './hold-setting.ts'
import {formJobs, type Job} from './jobs.ts'
import {countInAllDatabases, type GroupProgress, type MoverContext, moveGroup, noProgress} from './migrate-mover.ts'
import {moveJob} from './move-job.ts'
import {MoveLedger} from './move-ledger.ts'
import {DEFAULT_MAX_PAUSE_MS, Pace} from './pace.ts'
import {lookBeforeMoves, waitForForeignMigrations} from './preflight.ts'
import {DEFAULT_PATIENCE_MS, isTransient, longestPauseMs, Patience} from './retrying.ts'
import {RunEnding} from './run-ending.ts'
import type {ClusterSession} from './session.ts'
import {SETTLE_DEADLINE_MS, viewsOf, waitUntilSettled} from './settle.ts'
import {AstrayError, readOwnWords, ShardsAtStart} from './shards-at-start.ts'
import {OwnWord} from './steps.ts'
import {refuseObstacles} from './verdict.ts'
import {mapBounded, orAbort, pause} from './waiting.ts'
import {wavesOf} from './waves.ts'
import {Way} from './way.ts'

export interface RunOptions {
  /** Finish what is in flight, start nothing new. */
  readonly stop?: AbortSignal | undefined
  /** Stop at once: slots in flight stay open. */
  readonly abort?: AbortSignal | undefined
  /** Awaited before anything new is begun: may we still? If not, `stop` is aborted by then. */
  readonly ready?: (() => Promise<void>) | undefined
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
  /** How long slots that do not get on are tried again before the run ends; default a minute. */
  readonly patienceMs?: number | undefined
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

/** Of a shard that changes its primary nobody may claim the slots for a moment. */
const ASTRAY_PATIENCE_MS = 5000
/** Who has asked the run to stop does not wait for a node that is away as long as others do. */
const LAST_PATIENCE_MS = 10_000
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
  readonly #ledger: MoveLedger
  /** Bystanders that did not answer. */
  readonly #silent = new Set<NodeId>()
  readonly #ways = new Map<string, Way>()
  readonly #heirs = new Map<NodeId, NodeId>()
  /** Something had to be tried again: what the nodes said at the start may not hold any more. */
  #hadTrouble = false
  /** A source that waits in a MIGRATE for half of cluster-node-timeout is near to being voted down by the others. */
  #longestWaitMs: number | undefined
  #words: ReadonlyMap<NodeId, OwnWord> = new Map()
  #shards!: ShardsAtStart
  #worstPauseMs = 0
  #slotsMovedAtomically = 0
  #failure: {error: unknown} | undefined
  readonly #startedAt = performance.now()

  constructor(session: ClusterSession, plan: MovePlan, options: RunOptions) {
    this.#session = session
    this.#plan = plan
    this.#ledger = new MoveLedger(plan.moves)
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
        this.#ledger.keysMoved += event.keys
        this.#worstPauseMs = Math.max(this.#worstPauseMs, event.pauseMs ?? 0)
      }
      if (event.kind === 'slots-moved') for (const slot of event.slots) this.#ledger.done.add(slot)
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
      await this.#end()
    }
    this.#pace.watch(this.#endsOfMigrates())
    try {
      const toHold = this.#options.mayFollow ? [] : this.#emptiedShards(topology)
      await holdSetting(toHold, STAY_PUT, this.#listener, moveAll, this.#options.onHeld)
    } finally {
      this.#pace.close()
    }
    return this.#outcome(this.#ledger.left().length > 0 ? 'stopped' : 'done')
  }

  /** @throws InterruptedError unless all nodes have the new owners. */
  async #end(): Promise<void> {
    const {abort} = this.#options
    const ending = new RunEnding(this.#session, this.#shards, this.#ledger, {listener: this.#listener, abort})
    if (abort?.aborted) throw ending.cutOff(abort.reason)
    if (this.#failure) throw await ending.interrupted(this.#failure.error)
    await ending.requireAgreement()
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

  #outcome(kind: 'done' | 'stopped'): MoveOutcome {
    return {
      kind,
      slotsMoved: this.#ledger.done.size,
      keysMoved: this.#ledger.keysMoved,
      elapsedMs: performance.now() - this.#startedAt,
      worstPauseMs: this.#worstPauseMs,
      slotsMovedAtomically: this.#slotsMovedAtomically,
      left: this.#ledger.left(),
    }
  }

  async #pairOf(from: NodeId, to: NodeId): Promise<Pair> {
    const source = this.#session.node(from)
    const target = this.#session.node(to)
    const databaseCount = await source.readDatabaseCount()
    return {source, target, targetAddress: await this.#session.wayBetween(from, to), databaseCount}
  }

  async #countAndProbe(topology: Topology): Promise<Map<number, number>> {
    this.#listener({kind: 'phase', text: 'Counting keys and trying the way'})
    const counts = new Map<number, number>()
    await mapBounded(movesByPair(this.#plan.moves), 64, async (moves) => {
      const [first] = moves as [SlotMove]
      if (isKnownEmpty(topology, first.from)) return
      const pair = await this.#pairOf(first.from, first.to)
      await mapBounded(moves, 512, async ({slot}) => {
        counts.set(slot, await countInAllDatabases(pair.source, slot, pair.databaseCount))
      })
    })
    const {isAtomicOnly} = this.#options
    refuseObstacles(await lookBeforeMoves(this.#session, this.#plan, {counts, isAtomicOnly}))
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
          await this.#options.ready?.()
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
        await this.#options.ready?.()
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
    const progress = noProgress()
    const patienceMs = this.#options.patienceMs ?? DEFAULT_PATIENCE_MS
    const patience = new Patience(patienceMs)
    const astrayPatience = new Patience(Math.min(patienceMs, ASTRAY_PATIENCE_MS))
    const lastPatience = new Patience(Math.min(patienceMs, LAST_PATIENCE_MS))
    let {from, to} = this.#followed(group)
    for (let isFirst = true; ; isFirst = false) {
      const keysBefore = progress.leastKeys
      try {
        if (!isFirst) ({from, to} = await this.#followFailovers(from, to, progress))
        const pair = await this.#pairOf(from, to)
        await this.#readNodeTimeout(pair)
        const isAsAtStart = isFirst && !this.#hadTrouble
        const [source, target] = isAsAtStart ? this.#wordsAtStart(from, to) : await readOwnWords(pair)
        const slots = this.#shards.outlooks(source, target, group.slots)
        const context = this.#moverContext(pair, source.runId)
        await orAbort(moveGroup(context, slots, progress), this.#options.abort)
        this.#listener({kind: 'slots-moved', slots: group.slots, from, to})
        return
      } catch (error) {
        if (progress.leastKeys < keysBefore) patience.noteProgress()
        const pauseMs = isTransient(error)
          ? (this.#options.stop?.aborted ? lastPatience : patience).nextPauseMs(longestPauseMs(error))
          : error instanceof AstrayError
            ? astrayPatience.nextPauseMs()
            : undefined
        if (pauseMs === undefined || this.#options.abort?.aborted) {
          await this.#closeWhatCanBe(group, {from, to}, progress)
          throw error
        }
        this.#hadTrouble = true
        const attempt = Math.max(patience.attempts, astrayPatience.attempts, lastPatience.attempts)
        this.#listener({kind: 'retry', slots: group.slots, attempt, reason: (error as Error).message})
        await pause(pauseMs, this.#options.abort)
      } finally {
        for (const slot of progress.marked) this.#ledger.opened.add(slot)
      }
    }
  }

  /** One setting for all: whoever it is read from. */
  async #readNodeTimeout({source}: Pair): Promise<void> {
    if (this.#longestWaitMs !== undefined) return
    try {
      this.#longestWaitMs = Number((await source.readConfig('cluster-node-timeout')) ?? Number.POSITIVE_INFINITY) / 2
    } catch (error) {
      if (!(error instanceof NodeError && error.failure === 'permission')) throw error
      this.#longestWaitMs = Number.POSITIVE_INFINITY
    }
  }

  #moverContext(pair: Pair, sourceRunId: string | undefined): MoverContext {
    const {id: from} = pair.source
    const {id: to} = pair.target
    return {
      pair,
      sourceRunId,
      bystanders: this.#bystanders(from, to),
      onSilent: ({id}) => this.#silent.add(id),
      drain: this.#drainOptions(from, to),
    }
  }

  /**
   * After a failure: a shard whose primary changed is followed to the new one. The marks did not follow (before Valkey
   * 8), so after a failover of the source nothing is known any more about whose copy of a key is the owner's.
   */
  async #followFailovers(from: NodeId, to: NodeId, progress: GroupProgress): Promise<{from: NodeId; to: NodeId}> {
    const topology = await this.#session.observe()
    const next = {from: this.#shards.leaderOf(topology, from), to: this.#shards.leaderOf(topology, to)}
    // A target's heir has got its keys from this move alone, as the target had; a source's may lack what was last deleted.
    if (next.from !== from) progress.sourceIsAuthority.clear()
    if (next.from !== from) this.#heirs.set(from, next.from)
    if (next.to !== to) this.#heirs.set(to, next.to)
    return next
  }

  /** Where failovers that were met already have led. */
  #followed({from, to}: Group): {from: NodeId; to: NodeId} {
    const follow = (id: NodeId): NodeId => this.#heirs.get(id) ?? id
    return {from: follow(from), to: follow(to)}
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
      way: this.#wayBetween(from, to),
      longestWaitMs: this.#longestWaitMs,
      abort: this.#options.abort,
    }
  }

  #wayBetween(from: NodeId, to: NodeId): Way {
    const key = `${from} ${to}`
    const way = this.#ways.get(key) ?? new Way()
    this.#ways.set(key, way)
    return way
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
      .filter(({id, reach}) => reach.kind === 'reached' && id !== from && id !== to && !this.#silent.has(id))
      .map((node) => this.#session.node(node.id))
  }

  async #closeWhatCanBe(group: Group, ends: {from: NodeId; to: NodeId}, progress: GroupProgress): Promise<void> {
    if (this.#options.abort?.aborted) return
    try {
      const pair = await this.#pairOf(ends.from, ends.to)
      const moved = await closeWhatCanBe(this.#moverContext(pair, undefined), group.slots, progress, this.#shards)
      if (moved.length > 0) this.#listener({kind: 'slots-moved', slots: moved, ...ends})
    } catch (error) {
      // What stays open is seen, and told, at the end of the run.
      if (!(error instanceof ClusterError)) throw error
    }
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
