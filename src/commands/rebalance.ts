import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {seedFromWords} from '../lib/cli/cluster-command.ts'
import {duration, list, percentage, positiveInteger, size} from '../lib/cli/flags.ts'
import type {MoveReport} from '../lib/cli/move-command.ts'
import {moveFlags, skipBigFlags} from '../lib/cli/move-flags.ts'
import {parseDecimal} from '../lib/cli/numbers.ts'
import {PlacementCommand, type PlacementReport, placementFlags} from '../lib/cli/placement-command.ts'
import type {GivenPlan} from '../lib/cli/planned-command.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {UsageError} from '../lib/errors.ts'
import type {MovePlan} from '../lib/plan/plan.ts'
import {planRebalance, type RebalanceOptions} from '../lib/plan/rebalance.ts'
import {weightsFromMaxMemory} from '../lib/plan/weights.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {renderStillness} from '../lib/render/planned-load.ts'
import {SLOT_COUNT} from '../lib/slots/slot.ts'
import type {NodeId, Topology} from '../lib/topology/model.ts'
import {LOAD_KINDS, plainLoads} from '../lib/topology/slot-heat.ts'

/** cpu and network come and go: long enough to see the usual, short enough to wait for. */
const DEFAULT_OVER_MS = 10_000

export default class Rebalance extends PlacementCommand<typeof Rebalance> {
  static override summary = 'Even out the slots, or their load, over the primaries, moving as little as possible.'

  static override description = [
    'Without --by every primary gets its share of the slots. With it, of their keys, their memory, or what they take of the processor or the network: where the servers have CLUSTER SLOT-STATS by that, else keys are counted and memory is estimated from a few keys of each slot. cpu and network are only known to servers that run with cluster-slot-stats-enabled, and are measured for the time of --over. The plan tells the load of each primary before and after, and how near that is to the best that any plan could do. A slot that is too hot for every primary is named.',
    '--defragment joins ranges: those with less than an eighth of the slots of their primary go to a neighbour, and the shares stay within --threshold. --max-moves and --max-bytes bound what one run moves: the worst is evened out first.',
    'Primaries without slots are passed over unless --use-empty or a weight names them. Ctrl-C finishes the slots in flight; once more stops at once. The same command, run again, goes on where a run was cut off.',
    'Exit codes: 0 done, or nothing to do; 2 the words make no sense; 3 the cluster is not fit for moves; 4 a node did not answer, or said no; 5 part of the slots moved; 130 stopped.',
  ].join('\n\n')
  static override usage = 'rebalance [SEED]'
  static override examples = [
    '<%= config.bin %> rebalance 127.0.0.1:7000 --dry-run',
    '<%= config.bin %> rebalance 127.0.0.1:7000 --use-empty --yes',
    '<%= config.bin %> rebalance 127.0.0.1:7000 --weight 127.0.0.1:7000=2,127.0.0.1:7002=0',
    '<%= config.bin %> rebalance 10.0.0.1 --replicas --primaries --zones-file zones.txt --dry-run',
    '<%= config.bin %> rebalance 127.0.0.1:7000 --by memory --weights-from maxmemory --dry-run',
    '<%= config.bin %> rebalance 127.0.0.1:7000 --by cpu --over 30s --max-moves 200',
    '<%= config.bin %> rebalance 127.0.0.1:7000 --defragment --max-bytes 2gb',
  ]

  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }

  static override flags = {
    ...moveFlags,
    ...skipBigFlags,
    ...placementFlags,
    by: Flags.option({options: LOAD_KINDS})({
      summary: 'What every primary gets its share of.',
      default: 'slots',
    }),
    over: duration({
      summary: 'With --by cpu or network: how long that is measured, 10s by default.',
    }),
    weight: list({
      summary: 'Weight of a primary, 1 where none is given; 0 empties it.',
      helpValue: 'NODE=W',
      aliases: ['cluster-weight'],
    }),
    'weights-from': Flags.option({options: ['maxmemory'] as const})({
      summary: 'Weigh the primaries by this setting of theirs.',
      exclusive: ['weight'],
    }),
    threshold: percentage({
      summary: 'Move nothing while every primary is within this of its share; 0 evens out exactly.',
      default: 2,
      aliases: ['cluster-threshold'],
    }),
    'use-empty': Flags.boolean({
      summary: 'Give slots to primaries that have none, too.',
      default: false,
      aliases: ['cluster-use-empty-masters', 'cluster-use-empty-primaries'],
    }),
    defragment: Flags.boolean({
      summary: 'Bring the slots of each primary into few ranges, too.',
      default: false,
    }),
    'max-moves': positiveInteger({summary: 'Move no more slots than this.', max: SLOT_COUNT}),
    'max-bytes': size({summary: 'Move slots of no more than this in memory.'}),
  }

  async run(): Promise<MoveReport | PlacementReport> {
    if (this.isPlacing) return this.place(seedFromWords(this.args.seed))
    const {by, over, threshold, 'use-empty': useEmpty, 'weights-from': weightsFrom} = this.flags
    if (over !== undefined && by !== 'cpu' && by !== 'network') {
      throw new UsageError(`--over is for --by cpu and network: ${by} is what is there now`)
    }
    const words = parseWeights(this.flags.weight ?? [])
    const session = await this.openCluster(seedFromWords(this.args.seed))
    const weights = await this.#resolve(session, words)
    const intent = JSON.stringify(['rebalance', [...weights].sort(), threshold, useEmpty, ...this.#intentOfLoad()])
    const {plan, records} = await this.planMoves(session, 'rebalance', intent, async (topology, started) => {
      const options = {
        weights: weightsFrom ? weightsFromMaxMemory(topology, useEmpty) : weights,
        thresholdPercent: threshold,
        useEmpty,
        started,
      }
      return this.#isPlain ? planRebalance(topology, options) : this.#planByLoad(session, topology, options)
    })
    return this.carryOut(session, plan, intent, records, {
      nothingToDo: plan.load
        ? renderStillness(plan.load, threshold, session.topology, this.style)
        : `Nothing to do: every primary is within ${threshold} % of its share.`,
      question: ({moves}) => `Move ${plural(moves.length, 'slot')}?`,
    })
  }

  protected override async applySaved(given: GivenPlan): Promise<object> {
    const {plan} = given.file
    return plan.kind === 'placement' ? this.placeSaved(given, plan) : super.applySaved(given)
  }

  /** Slots are counted, and that is all. */
  get #isPlain(): boolean {
    const {by, defragment, 'max-moves': maxMoves, 'max-bytes': maxBytes} = this.flags
    return by === 'slots' && !defragment && maxMoves === undefined && maxBytes === undefined
  }

  /** Empty for what could always be asked for: an older run of the same is gone on with. */
  #intentOfLoad(): readonly unknown[] {
    const {'weights-from': weightsFrom} = this.flags
    if (this.#isPlain) return weightsFrom === undefined ? [] : [weightsFrom]
    const {by, defragment, 'max-moves': maxMoves, 'max-bytes': maxBytes} = this.flags
    return [weightsFrom, by, defragment, maxMoves, maxBytes]
  }

  async #planByLoad(
    session: ClusterSession,
    topology: Topology,
    options: Required<RebalanceOptions>,
  ): Promise<MovePlan> {
    const {measureLoads} = await import('../lib/engine/measure-loads.ts')
    const {planLoadRebalance} = await import('../lib/plan/rebalance-load.ts')
    const {by, over: overMs = DEFAULT_OVER_MS, 'max-moves': maxMoves, 'max-bytes': maxBytes} = this.flags
    if (by === 'cpu' || by === 'network') this.note(`Measuring ${by} by slot for ${formatDuration(overMs)}.`)
    const needsBytes = maxBytes !== undefined
    const loads =
      by === 'slots' && !needsBytes
        ? plainLoads(topology)
        : await this.stoppable(measureLoads(session, by, {overMs, needsBytes, signal: this.stopSignal}))
    return planLoadRebalance(topology, {...options, loads, maxMoves, maxBytes, isDefragmenting: this.flags.defragment})
  }

  async #resolve(session: ClusterSession, words: ReadonlyMap<string, number>): Promise<Map<NodeId, number>> {
    const weights = new Map<NodeId, number>()
    for (const [word, weight] of words) {
      const node = await this.findNode(session, word)
      if (weights.has(node.id)) throw new UsageError(`--weight names the same node twice: ${word}`)
      weights.set(node.id, weight)
    }
    return weights
  }
}

function parseWeights(entries: readonly string[]): Map<string, number> {
  const weights = new Map<string, number>()
  for (const entry of entries) {
    const at = entry.lastIndexOf('=')
    if (at < 1) {
      throw new UsageError(`--weight "${entry}" is not NODE=WEIGHT`, {
        suggestions: ['For example: --weight 127.0.0.1:7000=2'],
      })
    }
    const word = entry.slice(0, at)
    if (weights.has(word)) throw new UsageError(`--weight names the same node twice: ${word}`)
    weights.set(word, parseDecimal(entry.slice(at + 1), `--weight ${word}`, 0))
  }
  return weights
}
