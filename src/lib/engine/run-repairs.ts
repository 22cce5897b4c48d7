/**
 * How are slots put in order? Look, plan, do what may be done of the first stage, and look again, until nothing is left
 * that may be done. Safe to run again at any point: what is done is seen, not remembered.
 */
import {ClusterError, InterruptedError} from '../errors.ts'
import {planRepairs, type RepairOptions, slotsOfRepair, stageOf, withSlots} from '../plan/repair.ts'
import {slotsInQuestion} from '../plan/repair-facts.ts'
import type {Repair, RepairPlan} from '../plan/repair-plan.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {applyRepair, finishMoves, type RepairContext} from './apply-repair.ts'
import type {ConflictPolicy} from './drain.ts'
import type {EngineListener} from './events.ts'
import {readKeyEvidence} from './key-evidence.ts'
import {DEFAULT_MAX_PAUSE_MS, Pace} from './pace.ts'
import {isTransient} from './retrying.ts'
import type {ClusterSession} from './session.ts'
import {pollUntil} from './waiting.ts'

export interface RepairLookOptions extends RepairOptions {
  /**
   * Where to look for keys of slots that their node does not own. 'hints': on nodes that have more keys than their own
   * slots; 'all': everywhere; default: only in slots that are out of order anyway.
   */
  readonly search?: 'hints' | 'all' | undefined
  /** How long nodes that disagree are given to settle it among themselves; default 3000. */
  readonly settleMs?: number | undefined
}

export interface RunRepairsOptions extends RepairLookOptions {
  /** Asked of repairs that turn up on the way as well. */
  readonly isAllowed: (repair: Repair) => boolean
  /** Finish what is in flight, start nothing new. */
  readonly stop?: AbortSignal | undefined
  /** Stop at once. */
  readonly abort?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
  readonly conflicts?: ConflictPolicy | undefined
  readonly maxPauseMs?: number | undefined
}

/** A repair that was tried, and what came of it. */
export interface RepairFailure {
  readonly repair: Repair
  readonly error: ClusterError
}

export interface RepairOutcome {
  /** Those that a fresh look no longer asks for, in the order done. */
  readonly done: readonly Repair[]
  readonly failures: readonly RepairFailure[]
  /** What a fresh look still asks for. */
  readonly left: RepairPlan
  /** All slots are covered, closed and agreed on, by a fresh look. */
  readonly isInOrder: boolean
  /** Nodes that refuse keys all the same (cluster_state fail), some seconds later. */
  readonly notServing: readonly NodeId[]
  /** A signal ended it. */
  readonly isStopped: boolean
  readonly keysMoved: number
  readonly elapsedMs: number
}

/** Disagreements pass by themselves, as a rule within a second. */
const SETTLE_MS = 3000
/** A repair uncovers others, such as keys that can travel now; more rounds than that lead nowhere. */
const MAX_ROUNDS = 30
const TRIES = 2
const AGREEMENT_MS = 15_000
/** A primary that was in the minority serves again after cluster-node-timeout, at most 5 s. */
const SERVICE_MS = 7000

/** Looks at the cluster as it is now. Reads only. */
export async function lookForRepairs(
  session: ClusterSession,
  options: RepairLookOptions & {readonly signal?: AbortSignal | undefined} = {},
  alsoSlots: readonly number[] = [],
): Promise<RepairPlan> {
  const topology = await settledLook(session, options)
  const slots = [...new Set([...slotsInQuestion(topology), ...alsoSlots])].sort((a, b) => a - b)
  // Before a mark is taken away without more: its target may have keys that it does not show.
  const mayHide = topology.uncovered.length > 0 || (options.takesBackUnopened && topology.openSlots.length > 0)
  const search = options.search ?? (mayHide ? 'hidden' : 'none')
  return planRepairs(topology, await readKeyEvidence(session, slots, search), options)
}

async function settledLook(
  session: ClusterSession,
  {signal, settleMs = SETTLE_MS}: RepairLookOptions & {readonly signal?: AbortSignal | undefined},
): Promise<Topology> {
  await session.observe()
  await pollUntil(async () => (session.topology.disagreements.length === 0 ? true : void (await session.refresh())), {
    deadlineMs: settleMs,
    firstIntervalMs: 50,
    maxIntervalMs: 200,
    signal,
  })
  return session.topology
}

export async function runRepairs(
  session: ClusterSession,
  first: RepairPlan,
  options: RunRepairsOptions,
): Promise<RepairOutcome> {
  return new RepairRun(session, options).run(first)
}

class RepairRun {
  readonly #session: ClusterSession
  readonly #options: RunRepairsOptions
  readonly #done: Repair[] = []
  /** What went wrong last with each act. */
  readonly #errors = new Map<string, ClusterError>()
  readonly #tries = new Map<string, number>()
  /** Whatever was touched is counted again at the end. */
  readonly #touched = new Set<number>()
  /** Slots of which a key is in conflict: the others go on without them. */
  readonly #stuck = new Map<number, ClusterError>()
  readonly #strayMarks = new Map<NodeId, Set<number>>()
  readonly #ownMarks = new Map<NodeId, Set<number>>()
  #keysMoved = 0
  readonly #startedAt = performance.now()

  constructor(session: ClusterSession, options: RunRepairsOptions) {
    this.#session = session
    this.#options = options
  }

  get #isStopping(): boolean {
    return (this.#options.stop?.aborted ?? false) || (this.#options.abort?.aborted ?? false)
  }

  async run(first: RepairPlan): Promise<RepairOutcome> {
    const {maxPauseMs = DEFAULT_MAX_PAUSE_MS, abort} = this.#options
    const pace = new Pace({maxPauseMs, maxBytesPerSecond: undefined, abort})
    const context: RepairContext = {
      session: this.#session,
      conflicts: this.#options.conflicts ?? 'fail',
      maxPauseMs,
      pace,
      listener: (event) => {
        if (event.kind === 'keys-moved') this.#keysMoved += event.keys
        this.#options.listener?.(event)
      },
      stop: this.#options.stop,
      abort,
      strayMarks: this.#strayMarks,
      ownMarks: this.#ownMarks,
    }
    let plan = first
    try {
      for (let round = 0; round < MAX_ROUNDS && !this.#isStopping; round++) {
        const batch = this.#nextStage(plan)
        if (batch.length === 0) break
        await this.#applyAll(context, batch)
        plan = await this.#lookAgain()
        this.#noteDone(batch, plan)
      }
      await this.#takeBackMarks()
    } finally {
      pace.close()
    }
    const topology = await this.#untilAgreed()
    const isInOrder = plan.repairs.length === 0 && plan.obstacles.length === 0 && slotsInQuestion(topology).length === 0
    return {
      done: this.#done,
      failures: this.#failuresIn(plan),
      left: plan,
      isInOrder,
      notServing: isInOrder && this.#done.length > 0 ? await this.#untilServing() : [],
      isStopped: this.#isStopping,
      keysMoved: this.#keysMoved,
      elapsedMs: performance.now() - this.#startedAt,
    }
  }

  /** What may be done now. A slot's later repairs wait for its earlier ones, and are left where those fail. */
  #nextStage({repairs}: RepairPlan): Repair[] {
    const firstStages = new Map<number, number>()
    for (const repair of repairs) {
      for (const slot of slotsOfRepair(repair)) {
        firstStages.set(slot, Math.min(stageOf(repair), firstStages.get(slot) ?? Number.POSITIVE_INFINITY))
      }
    }
    const ready = repairs.flatMap((planned) => {
      const repair = allowedPart(planned, this.#options.isAllowed)
      if (!repair) return []
      const isReady = (slot: number): boolean => !this.#stuck.has(slot) && firstStages.get(slot) === stageOf(repair)
      const slots = slotsOfRepair(repair).filter(isReady)
      if (slots.length === 0 && repair.slots !== '') return []
      const next = withSlots(repair, slots)
      return (this.#tries.get(keyOf(next)) ?? 0) < TRIES ? [next] : []
    })
    const stage = Math.min(...ready.map(stageOf))
    return ready.filter((repair) => stageOf(repair) === stage)
  }

  async #applyAll(context: RepairContext, batch: readonly Repair[]): Promise<void> {
    for (const repair of batch) {
      this.#tries.set(keyOf(repair), (this.#tries.get(keyOf(repair)) ?? 0) + 1)
      for (const slot of slotsOfRepair(repair)) this.#touched.add(slot)
    }
    if (batch.every(({act}) => act.kind === 'finish-move')) {
      return this.#trying(batch, () => finishMoves(context, batch))
    }
    for (const repair of batch) {
      if (this.#isStopping) return
      await this.#trying([repair], () => applyRepair(context, repair))
    }
  }

  async #trying(repairs: readonly Repair[], work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error
      for (const repair of repairs) {
        this.#errors.set(actOf(repair.act), error)
        if (!isTransient(error)) this.#tries.set(keyOf(repair), TRIES)
      }
      for (const slot of slotsInConflict(error)) this.#stuck.set(slot, error)
    }
  }

  async #lookAgain(): Promise<RepairPlan> {
    return lookForRepairs(
      this.#session,
      {...this.#options, signal: this.#options.abort, strayMarks: this.#strayMarks},
      [...this.#touched],
    )
  }

  /** Done is what the fresh look no longer asks for, whatever was answered on the way. */
  #noteDone(batch: readonly Repair[], plan: RepairPlan): void {
    for (const repair of batch) {
      const asked = plan.repairs.filter(({act}) => actOf(act) === actOf(repair.act))
      if (repair.slots === '') {
        if (!plan.repairs.some(({act}) => act.kind === repair.act.kind)) this.#done.push(repair)
        continue
      }
      const stillAsked = new Set(asked.flatMap((one) => slotsOfRepair(one)))
      const done = slotsOfRepair(repair).filter((slot) => !stillAsked.has(slot))
      if (done.length > 0) this.#done.push(withSlots(repair, done))
    }
  }

  /**
   * Keys that are in conflict stay where they were, as they were: the next run would take a mark of ours for a move, and
   * what the operator calls its source and its target for the other way round.
   */
  async #takeBackMarks(): Promise<void> {
    if (this.#options.abort?.aborted) return
    for (const [id, slots] of this.#ownMarks) {
      const stuck = [...slots].filter((slot) => this.#stuck.has(slot))
      if (stuck.length === 0) continue
      try {
        await Promise.all(stuck.map((slot) => this.#session.node(id).setStable(slot)))
      } catch (error) {
        // The mark stays, and keeps the keys in sight.
        if (!(error instanceof ClusterError)) throw error
      }
    }
  }

  /** Repairs that were tried and are still asked for. */
  #failuresIn({repairs}: RepairPlan): RepairFailure[] {
    const wasTried = new Set([...this.#tries.keys()].map((key) => key.slice(0, key.lastIndexOf(' '))))
    return repairs
      .filter((repair) => wasTried.has(actOf(repair.act)) && allowedPart(repair, this.#options.isAllowed))
      .map((repair) => {
        const stuck = slotsOfRepair(repair).find((slot) => this.#stuck.has(slot))
        const error = stuck === undefined ? this.#errors.get(actOf(repair.act)) : this.#stuck.get(stuck)
        const didNotTake = 'it was carried out, and a fresh look still asks for it'
        return {repair, error: error ?? new InterruptedError(didNotTake)}
      })
  }

  /** The last to hear of it are replicas of other shards, by their primaries' packets. */
  async #untilAgreed(): Promise<Topology> {
    if (this.#done.length > 0) {
      await pollUntil(
        async () => (this.#session.topology.disagreements.length === 0 ? true : void (await this.#session.refresh())),
        {deadlineMs: AGREEMENT_MS, signal: this.#options.stop},
      )
    }
    return this.#session.topology
  }

  async #untilServing(): Promise<readonly NodeId[]> {
    let down = idsOfThoseThatRefuse(this.#session.topology)
    await pollUntil(
      async () => {
        if (down.length === 0) return true
        down = idsOfThoseThatRefuse(await this.#session.refresh())
        return undefined
      },
      {deadlineMs: SERVICE_MS, signal: this.#options.stop},
    )
    return down
  }
}

/** The repair, of those of its slots for which it is allowed; a replica takes over all slots or none. */
export function allowedPart(repair: Repair, isAllowed: (repair: Repair) => boolean): Repair | undefined {
  if (isAllowed(repair)) return repair
  if (repair.act.kind !== 'assign' && repair.act.kind !== 'close') return undefined
  const slots = slotsOfRepair(repair).filter((slot) => isAllowed(withSlots(repair, [slot])))
  return slots.length > 0 ? withSlots(repair, slots) : undefined
}

function idsOfThoseThatRefuse({nodes}: Topology): NodeId[] {
  return nodes.flatMap(({id, reach}) => (reach.kind === 'reached' && reach.view.clusterInfo.state !== 'ok' ? [id] : []))
}

function actOf(act: Repair['act']): string {
  return JSON.stringify(act)
}

function keyOf({act, slots}: Repair): string {
  return `${actOf(act)} ${slots}`
}

function slotsInConflict({details}: ClusterError): number[] {
  const {slot, slots, keyHex} = details as {slot?: number; slots?: readonly number[]; keyHex?: string}
  if (keyHex === undefined) return []
  return [...(slots ?? []), ...(slot === undefined ? [] : [slot])]
}
