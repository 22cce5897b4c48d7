import {word} from '../lib/cli/args.ts'
import {changeFlags, lockFlags, planFlags, watchFlag} from '../lib/cli/flags.ts'
import {parseNodeReference} from '../lib/cli/node-argument.ts'
import {type GivenPlan, PlannedCommand} from '../lib/cli/planned-command.ts'
import {forgetNodes, type Victims} from '../lib/engine/forget-nodes.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {Stages} from '../lib/engine/stages.ts'
import {type WatchOutcome, watchForgotten} from '../lib/engine/watch-forgotten.ts'
import {UsageError} from '../lib/errors.ts'
import {requireNoneHidden} from '../lib/findings/require.ts'
import {requireForgettable} from '../lib/plan/forget.ts'
import type {ForgetPlan} from '../lib/plan/plan-file.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {formatAddress, type NodeId} from '../lib/topology/model.ts'
import {labelId} from '../lib/topology/queries.ts'

interface ForgetReport {
  readonly outcome: 'forgotten' | 'planned' | 'nothing-to-do'
  readonly ids: readonly NodeId[]
  /** Addresses that were met and where nobody answered. */
  readonly handshakes: readonly string[]
  /** Members that did not answer and so still know them. */
  readonly notTold: readonly string[]
  readonly elapsedMs: number
  /** With --watch. */
  readonly watch?: WatchOutcome
}

/** Half of the 60 s for which the servers ban a forgotten node. */
const DEADLINE_MS = 30_000

export default class Forget extends PlannedCommand<typeof Forget> {
  static override summary = 'Make every node forget nodes that are gone.'
  static override description = [
    'For ghosts, failed nodes and handshakes that nobody answers. Says it is done when no node that answers knows them; --watch stays until the ban of a minute is over, and forgets again what comes back. A node that owns slots, is alive or has replicas is not for forget: see del-node.',
    'Exit codes: 0 forgotten, or not known before; 2 the words make no sense; 3 a node owns slots, is alive or has replicas; 4 a node did not answer, or said no; 5 some node still knows one, the command can be run again; 130 stopped.',
  ].join('\n\n')
  static override usage = ['forget SEED NODE...', 'forget NODE...']
  static override examples = [
    '<%= config.bin %> forget 127.0.0.1:7000 07c37dfe',
    '<%= config.bin %> forget --seed 127.0.0.1:7000 127.0.0.1:7006 --yes',
  ]
  static override args = {
    nodes: word({
      description: 'the nodes to forget; with several, a leading address is the node to ask (or use --seed)',
      multiple: true,
    }),
  }
  static override flags = {...changeFlags, ...lockFlags, ...planFlags, watch: watchFlag}

  async run(): Promise<ForgetReport> {
    const {seed, victims: words} = this.#words()
    const session = await this.openCluster(seed)
    await session.requireOneCluster()
    await this.lockCluster(session)
    const ids = new Set<NodeId>()
    const handshakes = new Set<string>()
    const unknown = new Set<NodeId>()
    for (const text of words) {
      const address = handshakeAt(session, text)
      if (address !== undefined) handshakes.add(address)
      else if (isUnknownId(session, text)) unknown.add(text.trim().toLowerCase())
      else ids.add((await this.findNode(session, text)).id)
    }
    return this.#forget(session, ids, handshakes, unknown, words)
  }

  protected override async applySaved(given: GivenPlan): Promise<ForgetReport> {
    const saved = given.file.plan as ForgetPlan
    const session = await this.openGiven(given, saved.ids)
    await this.lockCluster(session)
    const {nodesById, handshakes} = session.topology
    const met = new Set(handshakes.map(({address}) => formatAddress(address)))
    return this.#forget(
      session,
      new Set(saved.ids.filter((id) => nodesById.has(id))),
      new Set(saved.handshakes.filter((address) => met.has(address))),
      new Set(saved.ids.filter((id) => !nodesById.has(id))),
      [...saved.ids, ...saved.handshakes],
    )
  }

  async #forget(
    session: ClusterSession,
    ids: ReadonlySet<NodeId>,
    handshakes: ReadonlySet<string>,
    unknown: ReadonlySet<string>,
    words: readonly string[],
  ): Promise<ForgetReport> {
    const startedAt = performance.now()
    requireNoneHidden(session.topology)
    requireForgettable(session.topology, [...ids])
    const names = [...[...ids].map((id) => labelId(session.topology, id)), ...handshakes]
    const report = {ids: [...ids], handshakes: [...handshakes], notTold: []}
    if (names.length === 0) {
      this.print(`Nothing to do: no node that answers knows ${words.join(', ') || 'what was to be forgotten'}.`)
      await this.savePlan({version: 1, kind: 'forget', ids: [], handshakes: []}, session.topology)
      const isWatched = this.flags.watch && !this.flags['dry-run']
      const watched = isWatched ? await this.#watch(session, {ids: unknown}, []) : {}
      return {outcome: 'nothing-to-do', ...report, elapsedMs: 0, ...watched}
    }
    this.print(`To be forgotten by all: ${names.join(', ')}`)
    await this.savePlan({version: 1, kind: 'forget', ids: [...ids], handshakes: [...handshakes]}, session.topology)
    if (this.flags['dry-run']) return {outcome: 'planned', ...report, elapsedMs: 0}
    await this.confirm(`Forget ${names.join(', ')}?`)
    const stages = new Stages({deadlineMs: DEADLINE_MS, signal: this.stopSignal, listener: this.listener()})
    stages.begin('Forgetting')
    const notTold = await forgetNodes(session, {ids, handshakeAddresses: handshakes}, stages)
    const elapsedMs = performance.now() - startedAt
    this.print(`Forgotten in ${formatDuration(elapsedMs)}: no node that answers knows ${names.join(', ')} any more.`)
    const watched = this.flags.watch ? await this.#watch(session, {ids, handshakeAddresses: handshakes}, notTold) : {}
    if (notTold.length > 0 && !this.flags.watch) {
      this.warnOperator(
        `${notTold.join(', ')} did not answer and will make the others know the forgotten nodes again: run the command again when all are back, with --watch while they come, or forget those as well.`,
      )
    }
    return {outcome: 'forgotten', ...report, notTold, elapsedMs, ...watched}
  }

  async #watch(session: ClusterSession, victims: Victims, notTold: readonly string[]): Promise<{watch: WatchOutcome}> {
    const watch = await watchForgotten(session, victims, {
      notTold,
      signal: this.stopSignal,
      listener: this.listener(),
    })
    const again = watch.returns === 0 ? '' : `, after being forgotten again ${plural(watch.returns, 'time')}`
    this.print(`Watched for ${formatDuration(watch.watchedMs)}: they stay forgotten${again}.`)
    return {watch}
  }

  /** The seed is the first of several words, when it is an address and no --seed was given. */
  #words(): {seed: string | undefined; victims: readonly string[]} {
    const words = this.args.nodes ?? []
    const [first, ...others] = words
    if (first === undefined) {
      throw new UsageError('forget needs the nodes that are to be forgotten', {
        suggestions: ['rcluster forget 127.0.0.1:7000 NODE-ID'],
      })
    }
    const isSeed = others.length > 0 && this.flags.seed === undefined && parseNodeReference(first).kind === 'address'
    return isSeed ? {seed: first, victims: others} : {seed: undefined, victims: words}
  }
}

/** The address of the handshake that is named by it or by the ID that some node gave it. */
function handshakeAt({topology}: ClusterSession, text: string): string | undefined {
  const reference = parseNodeReference(text)
  const known = topology.handshakes.map(({address}) => formatAddress(address))
  if (reference.kind === 'address') return known.find((address) => address === formatAddress(reference.address))
  const entries = topology.nodes.flatMap(({reach}) => (reach.kind === 'reached' ? reach.view.entries : []))
  const entry = entries.find(({id, flags}) => flags.has('handshake') && id.startsWith(reference.prefix))
  return entry && formatAddress(entry.announced)
}

/** A whole ID is no slip of the hand: so the command is safe to repeat. */
function isUnknownId({topology}: ClusterSession, text: string): boolean {
  const reference = parseNodeReference(text)
  return reference.kind === 'id' && reference.prefix.length === 40 && !topology.nodesById.has(reference.prefix)
}
