import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {seedFromWords} from '../lib/cli/cluster-command.ts'
import {list, percentage} from '../lib/cli/flags.ts'
import {type MoveReport, moveFlags, skipBigFlags} from '../lib/cli/move-command.ts'
import {parseDecimal} from '../lib/cli/numbers.ts'
import {PlacementCommand, type PlacementReport, placementFlags} from '../lib/cli/placement-command.ts'
import type {GivenPlan} from '../lib/cli/planned-command.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {UsageError} from '../lib/errors.ts'
import {planRebalance} from '../lib/plan/rebalance.ts'
import {plural} from '../lib/render/amounts.ts'
import type {NodeId} from '../lib/topology/model.ts'

export default class Rebalance extends PlacementCommand<typeof Rebalance> {
  static override summary = 'Even out the slots over the primaries, moving as few as possible.'

  static override description = [
    'Primaries without slots are passed over unless --use-empty or a weight names them. Ctrl-C finishes the slots in flight; once more stops at once. The same command, run again, goes on where a run was cut off.',
    'Exit codes: 0 done, or nothing to do; 2 the words make no sense; 3 the cluster is not fit for moves; 4 a node did not answer, or said no; 5 part of the slots moved; 130 stopped.',
  ].join('\n\n')
  static override usage = 'rebalance [SEED]'
  static override examples = [
    '<%= config.bin %> rebalance 127.0.0.1:7000 --dry-run',
    '<%= config.bin %> rebalance 127.0.0.1:7000 --use-empty --yes',
    '<%= config.bin %> rebalance 127.0.0.1:7000 --weight 127.0.0.1:7000=2,127.0.0.1:7002=0',
    '<%= config.bin %> rebalance 10.0.0.1 --replicas --primaries --zones-file zones.txt --dry-run',
  ]

  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }

  static override flags = {
    ...moveFlags,
    ...skipBigFlags,
    ...placementFlags,
    weight: list({
      summary: 'Weight of a primary, 1 where none is given; 0 empties it.',
      helpValue: 'NODE=W',
      aliases: ['cluster-weight'],
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
  }

  async run(): Promise<MoveReport | PlacementReport> {
    if (this.isPlacing) return this.place(seedFromWords(this.args.seed))
    const {threshold, 'use-empty': useEmpty} = this.flags
    const words = parseWeights(this.flags.weight ?? [])
    const session = await this.openCluster(seedFromWords(this.args.seed))
    const weights = await this.#resolve(session, words)
    const intent = JSON.stringify(['rebalance', [...weights].sort(), threshold, useEmpty])
    const {plan, records} = await this.planMoves(session, 'rebalance', intent, (topology, started) =>
      planRebalance(topology, {weights, thresholdPercent: threshold, useEmpty, started}),
    )
    return this.carryOut(session, plan, intent, records, {
      nothingToDo: `Nothing to do: every primary is within ${threshold} % of its share.`,
      question: ({moves}) => `Move ${plural(moves.length, 'slot')}?`,
    })
  }

  protected override async applySaved(given: GivenPlan): Promise<object> {
    const {plan} = given.file
    return plan.kind === 'placement' ? this.placeSaved(given, plan) : super.applySaved(given)
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
