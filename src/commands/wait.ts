import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {duration, positiveInteger} from '../lib/cli/flags.ts'
import {awaitGoal, type Goal} from '../lib/engine/await-goal.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'

interface WaitReport {
  readonly outcome: Goal
  readonly nodes: number
  readonly elapsedMs: number
}

const DEADLINE_MS = 60_000

export default class Wait extends ClusterCommand<typeof Wait> {
  static override summary = 'Wait until a cluster is healthy, agreed or joined; for scripts and CI.'
  static override description = [
    'healthy: check finds no error. agreed: all nodes that answer tell the same slots at the same config epochs. joined: all nodes answer and know one another. A node that does not answer yet is waited for. Changes nothing.',
    'Exit codes: 0 it is so; 2 the words make no sense; 4 the login or TLS will not do; 5 it was not so in time, the message says what is missing; 130 stopped.',
  ].join('\n\n')
  static override usage = 'wait [SEED] --for healthy|agreed|joined [--nodes N]'
  static override examples = [
    '<%= config.bin %> wait 127.0.0.1:7000 --for healthy --timeout 2m',
    '<%= config.bin %> wait 127.0.0.1:7000 --for joined --nodes 6',
  ]
  static override args = {
    seed: word({description: 'any node of the cluster; it need not answer yet'}),
    port: word({description: 'its port, where it is given as a word of its own'}),
  }
  static override flags = {
    for: Flags.option({options: ['healthy', 'agreed', 'joined'] as const})({
      summary: 'What to wait for.',
      default: 'healthy',
    }),
    nodes: positiveInteger({summary: 'And until the cluster has just so many nodes.'}),
    timeout: duration({
      summary: 'How long at most (30, 30s, 5m, 500ms).',
      default: DEADLINE_MS,
      defaultHelp: async () => '60s' as never,
    }),
  }

  /** --timeout is how long to wait, and its end an answer of our own. */
  protected override get wholeDeadlineMs(): undefined {
    return undefined
  }

  async run(): Promise<WaitReport> {
    const startedAt = performance.now()
    const {seed, port} = this.args
    const seeds = this.seedAddresses(seedFromWords([seed, port].filter((one) => one !== undefined)))
    const {for: goal, nodes, timeout: deadlineMs = DEADLINE_MS} = this.flags
    const topology = await awaitGoal(await this.openPort(), seeds, {
      ...{goal, nodes, deadlineMs},
      ...{signal: this.stopSignal, listener: this.listener()},
    })
    const elapsedMs = performance.now() - startedAt
    const count = topology.nodes.length
    this.print(`The cluster of ${plural(count, 'node')} is ${goal}, after ${formatDuration(elapsedMs)}.`)
    return {outcome: goal, nodes: count, elapsedMs}
  }
}
