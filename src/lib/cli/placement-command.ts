/** How does a command place who leads and who follows, beside moving slots? Show, ask, one act after the other, tell. */
import type {Command} from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'
import {carryOut} from '../engine/carry-out.ts'
import {holdSetting, STAY_PUT} from '../engine/hold-setting.ts'
import type {ClusterSession} from '../engine/session.ts'
import {tellingHowFar} from '../engine/stages.ts'
import {UsageError} from '../errors.ts'
import type {MemberAct} from '../plan/acts.ts'
import {type PlacementPlan, planPlacement} from '../plan/even-replicas.ts'
import {buildMovePlan} from '../plan/move-plan.ts'
import {renderPlacementPlan} from '../render/acts.ts'
import {formatDuration, plural} from '../render/amounts.ts'
import {endRun, noteHeld, readRuns} from '../state/run-journal.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {withZones} from '../topology/zone-labels.ts'
import {MoveCommand} from './move-command.ts'
import type {GivenPlan} from './planned-command.ts'
import {readZoneLabels, type ZoneFlags, zoneFlags} from './zones.ts'

/** What of slots means nothing here. */
const SLOT_FLAGS = [
  ...['by', 'over', 'weight', 'weights-from', 'threshold', 'use-empty', 'defragment', 'max-moves', 'max-bytes'],
  ...['skip-big', 'explain', 'metrics'],
]

export const placementFlags = {
  replicas: Flags.boolean({
    summary: 'Not slots, but replicas: as many for each primary, on other hosts and in other zones than it.',
    default: false,
    exclusive: SLOT_FLAGS,
  }),
  primaries: Flags.boolean({
    summary: 'Not slots, but who leads: replicas take over until no zone, or host, leads more shards than others.',
    default: false,
    exclusive: SLOT_FLAGS,
  }),
  ...zoneFlags,
}

type PlacementFlags = ZoneFlags & {
  readonly 'dry-run': boolean
  readonly replicas: boolean
  readonly primaries: boolean
}

export interface PlacementReport {
  readonly outcome: 'placed' | 'planned' | 'nothing-to-do'
  readonly plan: PlacementPlan
  /** What this run did, in order. */
  readonly done: readonly MemberAct[]
  readonly elapsedMs: number
}

export abstract class PlacementCommand<T extends typeof Command> extends MoveCommand<T> {
  protected get isPlacing(): boolean {
    const {replicas, primaries, zone} = this.flags as unknown as PlacementFlags
    if (!replicas && !primaries && zone !== undefined) {
      throw new UsageError('--zone is for --replicas and --primaries: slots have no zones')
    }
    return replicas || primaries
  }

  protected async place(seed: string | undefined): Promise<PlacementReport> {
    const flags = this.flags as unknown as PlacementFlags
    const labels = readZoneLabels(flags)
    const session = await this.openCluster(seed)
    await session.requireOneCluster()
    await this.lockCluster(session)
    const topology = withZones(await this.fitTopology(session, () => []), labels)
    const plan = planPlacement(topology, flags)
    return this.#carryOut(session, plan, plan.acts)
  }

  protected async placeSaved(given: GivenPlan, plan: PlacementPlan): Promise<PlacementReport> {
    const session = await this.openGiven(given)
    await this.lockCluster(session)
    const topology = await this.fitTopology(session, () => [])
    const {standIns} = this.requireGround(session, given, {})
    const today = (id: NodeId): NodeId => standIns.get(id) ?? id
    const left = plan.acts.filter((act) => !isDone(act, topology, today))
    if (left.length > 0 && left.length < plan.acts.length) {
      this.note(
        `Going on with the plan: ${plan.acts.length - left.length} of ${plural(plan.acts.length, 'step')} are done.`,
      )
    }
    const renamed = left.map((act) =>
      act.kind === 'replicate' ? {...act, primary: {...act.primary, id: today(act.primary.id)}} : act,
    )
    return this.#carryOut(session, plan, renamed)
  }

  async #carryOut(session: ClusterSession, plan: PlacementPlan, acts: readonly MemberAct[]): Promise<PlacementReport> {
    const startedAt = performance.now()
    const {'dry-run': isDryRun} = this.flags as unknown as PlacementFlags
    this.print(renderPlacementPlan({...plan, acts}, this.style))
    await this.savePlan(plan, session.topology)
    if (acts.length === 0) {
      if (!isDryRun) await this.tidyUp(session, readRuns(process.env, session.topology))
      this.print('Nothing to do: no step would make it better.')
      return {outcome: 'nothing-to-do', plan, done: [], elapsedMs: 0}
    }
    if (isDryRun) return {outcome: 'planned', plan, done: [], elapsedMs: 0}
    await this.confirm(`Carry out ${plural(acts.length, 'step')}?`)
    const done = await this.#actByAct(session, acts)
    const elapsedMs = performance.now() - startedAt
    this.print(
      `${plural(done.length, 'step')} done in ${formatDuration(elapsedMs)}; every node that answers knows it, and all replicas concerned are in step.`,
    )
    this.warnOfSilent(session.topology)
    return {outcome: 'placed', plan, done, elapsedMs}
  }

  /**
   * Meanwhile the servers leave replicas where they are: a shard that is short of one for some seconds would be sent another by
   * them. Recorded as a run that moves nothing: where this one is killed, the next puts the setting back.
   */
  async #actByAct(session: ClusterSession, acts: readonly MemberAct[]): Promise<MemberAct[]> {
    const options = {signal: this.stopSignal, listener: this.listener()}
    const records = readRuns(process.env, session.topology)
    const own = this.record('placement', buildMovePlan(session.topology, 'rebalance', [], []))
    const done: MemberAct[] = []
    const work = async (): Promise<void> => {
      for (const act of acts) {
        this.stopSignal.throwIfAborted()
        const soFar = `${done.length} of ${plural(acts.length, 'step')} done, and each of them holds`
        await tellingHowFar(soFar, `To go on: ${this.applyLine ?? this.commandLine}`, () =>
          carryOut(session, act, options),
        )
        done.push(act)
        await session.refresh()
      }
    }
    try {
      await holdSetting(session.reachedPorts(), STAY_PUT, options.listener, work, (held) => own && noteHeld(own, held))
    } finally {
      if (own) endRun(own)
      await this.tidyUp(session, records)
    }
    return done
  }
}

function isDone(act: MemberAct, {nodesById}: Topology, today: (id: NodeId) => NodeId): boolean {
  if (act.kind === 'replicate') return nodesById.get(act.node.id)?.primaryId === today(act.primary.id)
  return act.kind === 'fail-over' && nodesById.get(act.replica.id)?.role === 'primary'
}
