import {word} from '../lib/cli/args.ts'
import {seedFromWords} from '../lib/cli/cluster-command.ts'
import {changeFlags, lockFlags, planFlags} from '../lib/cli/flags.ts'
import {parseInteger} from '../lib/cli/numbers.ts'
import {type GivenPlan, PlannedCommand} from '../lib/cli/planned-command.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {type NodeTimeout, readNodeTimeouts, setNodeTimeout} from '../lib/engine/set-node-timeout.ts'
import {ClusterError, InterruptedError, UsageError} from '../lib/errors.ts'
import type {TimeoutPlan} from '../lib/plan/plan-file.ts'
import {plural} from '../lib/render/amounts.ts'
import {renderTable} from '../lib/render/table.ts'
import {formatAddress, type NodeId} from '../lib/topology/model.ts'
import {labelNode} from '../lib/topology/queries.ts'

interface TimeoutReport {
  readonly outcome: 'set' | 'planned' | 'nothing-to-do'
  readonly timeoutMs: number
  readonly nodes: readonly {
    readonly id: NodeId
    readonly address: string
    readonly beforeMs: number | undefined
    /** In the node's configuration file, too; false until it was set. */
    readonly isKept: boolean
  }[]
}

/** What redis-cli takes at the least. */
const LEAST_MS = 100

export default class SetTimeout extends PlannedCommand<typeof SetTimeout> {
  static override summary = 'Set cluster-node-timeout on every node.'
  static override description = [
    'After that time without an answer a node is suspected, and a primary replaced by a replica. It is set, written to the configuration file of the node, and read again on each.',
    'Exit codes: 0 every node has it; 2 the words make no sense; 4 no node has it; 5 some have it and others not; 130 stopped.',
  ].join('\n\n')
  static override usage = 'set-timeout [SEED] MS'
  static override examples = ['<%= config.bin %> set-timeout 127.0.0.1:7000 5000 --yes']
  static override args = {
    words: word({description: 'any node of the cluster, then the time in milliseconds', multiple: true}),
  }
  static override flags = {...changeFlags, ...lockFlags, ...planFlags}

  async run(): Promise<TimeoutReport> {
    const words = this.args.words ?? []
    const last = words.at(-1)
    if (last === undefined) {
      throw new UsageError('set-timeout needs a time in milliseconds', {
        suggestions: ['rcluster set-timeout 127.0.0.1:7000 5000'],
      })
    }
    const timeoutMs = parseInteger(last, 'the time in milliseconds', LEAST_MS, 2 ** 31 - 1)
    const session = await this.openCluster(seedFromWords(words.slice(0, -1)))
    await this.lockCluster(session)
    return this.#set(session, timeoutMs)
  }

  protected override async applySaved(given: GivenPlan): Promise<TimeoutReport> {
    const saved = given.file.plan as TimeoutPlan
    const session = await this.openGiven(given)
    await this.lockCluster(session)
    return this.#set(session, saved.timeoutMs, (before) => {
      const then = new Map(saved.nodes.map((node) => [node.id, node]))
      const shifts = [
        ...saved.nodes
          .filter(({id}) => !session.topology.nodesById.has(id))
          .map(({address}) => `${address} is no member any more`),
        ...before.flatMap(({node, timeoutMs}) => {
          const planned = then.get(node.id)
          if (!planned) return [`${labelNode(node)} has joined`]
          if (timeoutMs === planned.beforeMs || timeoutMs === saved.timeoutMs) return []
          return [`${labelNode(node)} has ${timeoutMs ?? '?'} ms, and had ${planned.beforeMs ?? '?'} ms then`]
        }),
      ]
      this.requireNoShift(given, shifts)
    })
  }

  /** @param check of what the nodes have; only for a saved plan, of which nothing may be left to do. */
  async #set(
    session: ClusterSession,
    timeoutMs: number,
    check?: (before: readonly NodeTimeout[]) => void,
  ): Promise<TimeoutReport> {
    const before = await this.stoppable(readNodeTimeouts(session))
    check?.(before)
    const documents = before.map(({node, timeoutMs: beforeMs}) => ({
      ...{id: node.id, address: formatAddress(node.address)},
      ...{beforeMs, isKept: false},
    }))
    if (check && before.every((one) => one.timeoutMs === timeoutMs)) {
      this.print(
        `Nothing to do: cluster-node-timeout is ${timeoutMs} ms on all ${plural(before.length, 'node')} already.`,
      )
      return {outcome: 'nothing-to-do', timeoutMs, nodes: documents}
    }
    this.print(this.#render(before, timeoutMs))
    const nodesThen = documents.map(({id, address, beforeMs}) => ({id, address, beforeMs}))
    await this.savePlan({version: 1, kind: 'set-timeout', timeoutMs, nodes: nodesThen}, session.topology)
    if (this.flags['dry-run']) return {outcome: 'planned', timeoutMs, nodes: documents}
    await this.confirm(`Set cluster-node-timeout to ${timeoutMs} ms on ${plural(before.length, 'node')}?`)
    const after = await setNodeTimeout(session, timeoutMs)
    const nodes = documents.map((document, index) => ({
      ...document,
      isKept: after[index]?.failure === undefined && after[index]?.isLostBecause === undefined,
    }))
    this.#requireAll(after, timeoutMs, {nodes})
    const lost = after.filter(({isLostBecause}) => isLostBecause !== undefined)
    if (lost.length > 0) {
      this.warnOperator(
        `It lasts until the restart of ${lost.map(({node}) => formatAddress(node.address)).join(', ')}: ${lost[0]?.isLostBecause}`,
      )
    }
    this.print(`cluster-node-timeout is ${timeoutMs} ms on all ${plural(after.length, 'node')}.`)
    return {outcome: 'set', timeoutMs, nodes}
  }

  /** @throws ClusterError when a node has not taken it. */
  #requireAll(after: readonly NodeTimeout[], timeoutMs: number, details: Record<string, unknown>): void {
    const failed = after.filter(({failure}) => failure !== undefined)
    if (failed.length === 0) return
    const reasons = failed.slice(0, 4).map(({failure}) => failure)
    const message = `${failed.length} of ${plural(after.length, 'node')} did not take ${timeoutMs} ms: ${reasons.join('; ')}`
    if (failed.length === after.length) throw new ClusterError('E_NODE', 4, message, {details})
    throw new InterruptedError(`${message}; the others have it`, {
      details,
      suggestions: ['Run the command again when these answer: it is safe to repeat'],
    })
  }

  #render(before: readonly NodeTimeout[], timeoutMs: number): string {
    const rows = before.map(({node, timeoutMs: beforeMs}) => [
      formatAddress(node.address),
      beforeMs === undefined ? '?' : `${beforeMs} ms`,
      `${timeoutMs} ms`,
    ])
    return renderTable(
      [{title: 'Node'}, {title: 'Before', align: 'right'}, {title: 'After', align: 'right'}],
      rows,
      this.style,
    )
  }
}
