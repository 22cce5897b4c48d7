import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {MoveCommand, type MoveReport, moveFlags} from '../lib/cli/move-command.ts'
import {parseNodeReference} from '../lib/cli/node-argument.ts'
import {type RemovalOutcome, removeNodes} from '../lib/engine/remove-nodes.ts'
import {planEvacuate} from '../lib/plan/evacuate.ts'
import type {RemovalPlan} from '../lib/plan/plan.ts'
import {planRemoval} from '../lib/plan/removal.ts'
import {formatDuration} from '../lib/render/amounts.ts'
import {renderRemovalPlan} from '../lib/render/plan.ts'
import {countSlots} from '../lib/slots/slot-ranges.ts'
import type {NodeId} from '../lib/topology/model.ts'
import {slotsOf} from '../lib/topology/queries.ts'

interface RemovalReport extends Partial<RemovalOutcome> {
  readonly outcome: 'removed' | 'planned'
  readonly plan: RemovalPlan | undefined
  /** With --drain, when the nodes had slots. */
  readonly moves?: MoveReport
  readonly elapsedMs: number
}

/** Half of the 60 s for which the servers ban a forgotten node. */
const DEADLINE_MS = 30_000

export default class DelNode extends MoveCommand<typeof DelNode> {
  static override summary = 'Remove nodes, alive or dead, from a cluster.'
  static override hiddenAliases = ['del-nodes']

  static override usage = ['del-node NODE…', 'del-node SEED NODE…']

  static override examples = [
    '<%= config.bin %> del-node 127.0.0.1:7006',
    '<%= config.bin %> del-node 127.0.0.1:7000 07c37dfe --drain --yes',
  ]

  static override args = {
    nodes: Args.string({
      description: 'the nodes to remove; with several, a leading address is the node to ask (or use --seed)',
      multiple: true,
      required: true,
    }),
  }

  static override flags = {
    ...moveFlags,
    drain: Flags.boolean({summary: 'Move the slots of the nodes to the other primaries first.', default: false}),
  }

  async run(): Promise<RemovalReport> {
    const startedAt = performance.now()
    const {seeds, victims: words} = this.#words()
    const session = await this.openCluster(seeds)
    await session.requireOneCluster()
    const victims: NodeId[] = []
    for (const word of words) victims.push((await this.findNode(session, word)).id)

    let moves: MoveReport | undefined
    if (this.flags.drain && victims.some((id) => countSlots(slotsOf(session.topology, id)) > 0)) {
      const intent = JSON.stringify(['evacuate', [...victims].sort()])
      const {plan, records} = await this.planMoves(session, 'evacuate', intent, (topology, started) =>
        planEvacuate(topology, {victims, started}),
      )
      moves = await this.carryOut(session, plan, intent, records, {
        nothingToDo: 'The nodes have no slots.',
        question: `Move ${plan.moves.length} slots and remove ${words.join(', ')}?`,
      })
      if (moves.outcome === 'planned') return {outcome: 'planned', plan: undefined, moves, elapsedMs: 0}
      await session.observe()
    }
    const plan = planRemoval(session.topology, {victims})
    this.print(renderRemovalPlan(plan, session.topology, this.style))
    const withMoves = moves ? {moves} : {}
    if (this.flags['dry-run']) return {outcome: 'planned', plan, ...withMoves, elapsedMs: 0}
    if (!moves) await this.confirm(`Remove ${words.join(', ')}?`)
    const outcome = await removeNodes(session, plan, {
      deadlineMs: DEADLINE_MS,
      signal: this.stopSignal,
      listener: this.listener(),
    })
    const elapsedMs = performance.now() - startedAt
    const names = plan.victims.map(({address}) => address).join(', ')
    this.print(
      `Removed ${names} in ${formatDuration(elapsedMs)}; no node that answers knows ${plan.victims.length === 1 ? 'it' : 'them'} any more.`,
    )
    this.#warn(outcome)
    return {outcome: 'removed', plan, ...outcome, ...withMoves, elapsedMs}
  }

  #warn({notReset, notTold}: RemovalOutcome): void {
    if (notReset.length > 0) {
      this.warnOperator(
        `${notReset.join(', ')} did not answer and still believes to be a member: run CLUSTER RESET on it before it is used again`,
      )
    }
    if (notTold.length > 0) {
      this.warnOperator(
        `${notTold.join(', ')} did not answer and will bring the removed nodes back to mind after 60 s: remove it too, or run the command again when it is back`,
      )
    }
  }

  /** "SEED NODE…" where the first of several words is an address and no --seed was given, else all are victims. */
  #words(): {seeds: readonly string[] | undefined; victims: readonly string[]} {
    const words = this.args.nodes
    const [first = '', ...others] = words
    if (others.length > 0 && this.flags.seed === undefined && parseNodeReference(first).kind === 'address') {
      return {seeds: [first], victims: others}
    }
    const isLoneAddress =
      this.flags.seed === undefined && !process.env['RCLUSTER_SEED'] && parseNodeReference(first).kind === 'address'
    // A living node can be asked about itself; a dead one needs --seed.
    return {seeds: isLoneAddress ? [first] : undefined, victims: words}
  }
}
