/**
 * How does `apply` make a cluster what a file declares? Look, plan, do the first stage, look again, until nothing is left.
 * Safe to run again at any point: what is done is seen, not remembered.
 */

import type {NodePort} from '../engine/cluster-port.ts'
import {createCluster} from '../engine/create-cluster.ts'
import {applyFunctions, functionsStage} from '../engine/declared-functions.ts'
import {applySettings, settingsStage} from '../engine/declared-settings.ts'
import {applyUsers, usersStage} from '../engine/declared-users.ts'
import {followPrimary} from '../engine/follow-primary.ts'
import {restoreHeld} from '../engine/hold-setting.ts'
import {joinNodes} from '../engine/join-nodes.ts'
import {meetNewcomer, type Newcomer, requireEmpty, waitUntilFitForJoins} from '../engine/newcomers.ts'
import {DEFAULT_MAX_PAUSE_MS} from '../engine/pace.ts'
import {removeNodes} from '../engine/remove-nodes.ts'
import {DEFAULT_PATIENCE_MS} from '../engine/retrying.ts'
import type {ClusterSession} from '../engine/session.ts'
import {mapBounded} from '../engine/waiting.ts'
import {CancelledError, type ClusterError, InterruptedError, NodeError, UsageError} from '../errors.ts'
import {requireNoneHidden} from '../findings/require.ts'
import {moveOf} from '../findings/slot-rules.ts'
import {
  type Declaration,
  type DesiredPlan,
  type DesiredStage,
  planDesired,
  planDesiredCreation,
} from '../plan/desired.ts'
import {buildMovePlan} from '../plan/move-plan.ts'
import type {SlotMove} from '../plan/plan.ts'
import {planReplicate} from '../plan/replicate.ts'
import {plural} from '../render/amounts.ts'
import {describeStage, renderDesiredPlan} from '../render/desired.ts'
import {endRun, type RunRecord} from '../state/run-journal.ts'
import {type ClusterNode, formatAddress, type NodeAddress, type Topology} from '../topology/model.ts'
import {countKeys, findNode, listNodes} from '../topology/queries.ts'
import type {BaseCommand} from './base-command.ts'
import {MoveCommand} from './move-command.ts'
import {moveFlags} from './move-flags.ts'

export interface DeclaredReport {
  readonly outcome: 'done' | 'planned' | 'nothing-to-do'
  /** What was to be done at first. */
  readonly stages: readonly DesiredStage[]
  readonly undeclared: DesiredPlan['undeclared']
  readonly slotsMoved: number
  readonly keysMoved: number
  readonly elapsedMs: number
}

export interface DeclaredFile {
  readonly path: string
  readonly declaration: Declaration
  /** The node named on the line. */
  readonly seed: string | undefined
}

const DEADLINE_MS = 60_000
/** As `del-node --drain` has it. */
const REDIRECT_MS = 8000

/** Of the flags that `apply` was not given. */
export const DEFAULTS = {
  'on-conflict': 'fail',
  mover: 'auto',
  'max-pause': DEFAULT_MAX_PAUSE_MS,
  concurrency: 1,
  patience: DEFAULT_PATIENCE_MS,
}

/** What is there now, and what is missing. */
interface Sight {
  /** undefined: the nodes are no cluster yet. */
  readonly session: ClusterSession | undefined
  readonly strangers: readonly Newcomer[]
  /** A creation that was cut off has left them without keys and not empty. */
  readonly isRemnant: boolean
  readonly plan: DesiredPlan
  readonly records: readonly RunRecord[]
}

export default class DeclaredCluster extends MoveCommand<typeof DeclaredCluster> {
  static override flags = moveFlags
  #file!: DeclaredFile
  #session: ClusterSession | undefined
  #moved = {slots: 0, keys: 0}

  /** Has no line of its own. */
  run(): Promise<DeclaredReport> {
    return this.#reach()
  }

  /** Does the work of `host`, with its flags. */
  reachFor(host: BaseCommand, file: DeclaredFile, flags: Readonly<Record<string, unknown>>): Promise<object> {
    this.#file = file
    return this.workAs(host, flags, () => this.#reach())
  }

  protected override get applyLine(): string {
    return `rcluster apply ${this.#file.path}`
  }

  async #reach(): Promise<DeclaredReport> {
    const startedAt = performance.now()
    // A context of another cluster must not be taken for the way to these.
    for (const {nodes} of this.#file.declaration.shards) {
      for (const {address} of nodes) this.parseAddress(formatAddress(address))
    }
    const first = await this.#look()
    const {stages, undeclared} = first.plan
    const report = {stages, undeclared, slotsMoved: 0, keysMoved: 0, elapsedMs: 0}
    if (stages.length === 0) {
      await this.#tidyUp(first)
      this.print(`Nothing to do: the cluster is as ${this.#file.path} declares it.`)
      for (const warning of first.plan.warnings) this.warnOperator(warning)
      return {outcome: 'nothing-to-do', ...report}
    }
    this.print(renderDesiredPlan(first.plan, this.style))
    await this.#warnOfOwnUser(first)
    if (this.flags['dry-run']) return {outcome: 'planned', ...report}
    await this.confirm(`Carry out ${stages.length === 1 ? 'this stage' : `these ${stages.length} stages`}?`)
    const done = await this.#carryOutAll(first)
    this.print(`${plural(done, 'stage')} done: the cluster is as ${this.#file.path} declares it.`)
    const {slots: slotsMoved, keys: keysMoved} = this.#moved
    return {outcome: 'done', ...report, slotsMoved, keysMoved, elapsedMs: performance.now() - startedAt}
  }

  /** @throws UsageError when it is to be deleted. */
  async #warnOfOwnUser({session, strangers, plan}: Sight): Promise<void> {
    const changes = plan.stages.flatMap((one) => (one.stage === 'users' ? one.plan.changes : []))
    if (changes.length === 0) return
    const port = session?.reachedPorts()[0] ?? strangers[0]?.port
    const me = (await port?.findForbidden([]))?.user
    const own = changes.find(({user}) => user === me)
    if (!own) return
    if (!own.rules) {
      throw new UsageError(`${me} is to be absent, and is the user of this command`, {
        suggestions: ['Log in as another: --user'],
      })
    }
    this.warnOperator(`${me} is the user of this command: what it loses, rcluster can do no more.`)
  }

  /** @returns how many stages it took. */
  async #carryOutAll(first: Sight): Promise<number> {
    let before: string | undefined
    let done = 0
    for (let sight = first; ; sight = await this.#look(), done++) {
      const [stage] = sight.plan.stages
      if (!stage) {
        await this.#tidyUp(sight)
        return done
      }
      const what = describeStage(stage)
      if (done > 0) this.#requireLeave(done, what)
      if (what === before) {
        throw new InterruptedError(`${plural(done, 'stage')} done, and this is still to be done: ${what}`, {
          suggestions: [this.applyLine],
        })
      }
      before = what
      this.note(`Stage ${done + 1}: ${what}`)
      await this.#carryOutStage(sight, stage)
    }
  }

  /** What runs of moves that were cut off had changed for their time is put back, here too where no slot is left to move. */
  async #tidyUp({session, records}: Sight): Promise<void> {
    if (!session || this.flags['dry-run']) return
    const held = records.flatMap((record) => record.held ?? [])
    await restoreHeld(session, held, this.listener())
    for (const record of records) endRun(record)
  }

  /** @throws ClusterError when the run is to be stopped. */
  #requireLeave(done: number, next: string): void {
    if (!this.stopSignal.aborted) return
    const reason = this.stopSignal.reason as ClusterError
    const message = `${reason.message}: ${plural(done, 'stage')} done; next is: ${next}`
    const facts = {details: {stagesDone: done}, suggestions: [`Go on with ${this.applyLine}`]}
    throw reason instanceof CancelledError ? new CancelledError(message, facts) : new InterruptedError(message, facts)
  }

  async #carryOutStage({session, strangers, isRemnant, records}: Sight, stage: DesiredStage): Promise<void> {
    const options = {deadlineMs: DEADLINE_MS, signal: this.stopSignal, listener: this.listener()}
    if (stage.stage === 'create') {
      const ports = strangers.map(({port}) => port)
      if (isRemnant) await mapBounded(ports, 64, (port) => port.reset())
      const idAt = new Map(ports.map(({id, address}) => [formatAddress(address), id]))
      const today = <N extends {readonly id: string; readonly address: string}>(node: N): N => ({
        ...node,
        id: idAt.get(node.address) ?? node.id,
      })
      const primaries = stage.plan.primaries.map((one) => ({...today(one), replicas: one.replicas.map(today)}))
      await createCluster({...stage.plan, primaries}, ports, options)
      this.#session = undefined
      return
    }
    if (!session) throw new Error('only a creation needs no cluster')
    switch (stage.stage) {
      case 'join': {
        const ids = new Set(stage.plan.newcomers.map(({id}) => id))
        const ports = strangers.map(({port}) => port).filter(({id}) => ids.has(id))
        await joinNodes(session, stage.plan, ports, options)
        break
      }
      case 'move': {
        // Written down: without the settings, some of which are secret.
        const {shards, removeUndeclared} = this.#file.declaration
        const intent = JSON.stringify(['apply', shards, removeUndeclared])
        const {slotsMoved, keysMoved} = await this.carryOut(session, stage.plan, intent, records, {
          nothingToDo: 'No slot has to move.',
          question: undefined,
        })
        this.#moved = {slots: this.#moved.slots + slotsMoved, keys: this.#moved.keys + keysMoved}
        break
      }
      case 'replicate':
        await followPrimary(
          session,
          planReplicate(session.topology, {replicaId: stage.plan.replica.id, primaryId: stage.plan.primary.id}),
          options,
        )
        break
      case 'config':
        this.#warnOfRestart('settings', await applySettings(session, stage.plan, this.#file.declaration.config))
        break
      case 'users':
        this.#warnOfRestart('users', await applyUsers(session, stage.plan, this.#file.declaration.users))
        break
      case 'functions':
        await applyFunctions(session, stage.plan, this.#file.declaration.functions)
        break
      case 'remove': {
        requireNoneHidden(session.topology)
        const redirectMs = this.#moved.slots > 0 ? REDIRECT_MS : 0
        const {notReset, notTold} = await removeNodes(session, stage.plan, {...options, redirectMs})
        if (notReset.length > 0) {
          this.warnOperator(
            `${notReset.join(', ')} did not answer: CLUSTER RESET there before anything else when back.`,
          )
        }
        if (notTold.length > 0) {
          this.warnOperator(
            `${notTold.join(', ')} did not answer and will make the others know the removed nodes again.`,
          )
        }
        break
      }
    }
    await session.observe()
  }

  async #look(): Promise<Sight> {
    const addresses = this.#file.declaration.shards.flatMap(({nodes}) => nodes.map(({address}) => address))
    this.#session ??= await this.#open(addresses.map(formatAddress))
    const session = this.#session
    const port = await this.openPort()
    const members = new Map<string, ClusterNode>()
    const strangers: Newcomer[] = []
    const known = (text: string): ClusterNode | undefined => session && findNode(session.topology, text)
    await mapBounded(addresses, 128, async (address) => {
      const text = formatAddress(address)
      const found = known(text)
      if (found) return void members.set(text, found)
      const newcomer = await this.stoppable(meetNewcomer(port, address))
      const member = session?.topology.nodesById.get(newcomer.port.id)
      if (member) members.set(text, member)
      else strangers.push(newcomer)
    })
    if (!session || isRemnantOf(session.topology, members)) return this.#lookAtEmpty(session, strangers, members)
    const ports = strangers.map((newcomer) => newcomer.port)
    await session.requireOneCluster()
    await this.lockCluster(session, ports)
    await waitUntilFitForJoins(session, this.stopSignal)
    requireEmpty(strangers)
    const views = new Map(strangers.map(({port: {address}, view}) => [formatAddress(address), view]))
    let plan: DesiredPlan | undefined
    const {records} = await this.planMoves(
      session,
      'rebalance',
      'apply: a look',
      (topology, started) => {
        const today = new Map([...members].flatMap(([text, {id}]) => [[text, topology.nodesById.get(id)] as const]))
        const present = new Map([...today].flatMap(([text, node]) => (node ? [[text, node] as const] : [])))
        plan = planDesired(topology, this.#file.declaration, present, views, started)
        return buildMovePlan(topology, 'rebalance', [], [])
      },
      movesByMarks,
    )
    if (!plan) throw new Error('a look has no earlier run')
    const present = [...members.values()].filter(({reach}) => reach.kind === 'reached')
    const all = [...present.map(({id}) => session.node(id)), ...ports]
    const newcomers = plan.stages.flatMap((one) => (one.stage === 'join' ? one.plan.newcomers : []))
    const leaders = new Set([...present, ...newcomers].filter(({role}) => role === 'primary').map(({id}) => id))
    const primaries = all.filter(({id}) => leaders.has(id))
    const stages = await this.#withContents(plan.stages, all, primaries)
    return {session, strangers, isRemnant: false, plan: {...plan, stages}, records}
  }

  /** What nodes hold but keys: said when all have joined, and before slots bring clients to them. */
  async #withContents(
    stages: readonly DesiredStage[],
    all: readonly NodePort[],
    primaries: readonly NodePort[],
  ): Promise<DesiredStage[]> {
    const {config, users, functions} = this.#file.declaration
    const contents = await Promise.all([
      settingsStage(all, config),
      usersStage(all, users),
      functionsStage(primaries, functions),
    ])
    const joined = stages.findLastIndex(({stage}) => stage === 'create' || stage === 'join') + 1
    return [...stages.slice(0, joined), ...contents.flat(), ...stages.slice(joined)]
  }

  #warnOfRestart(what: string, notKept: Awaited<ReturnType<typeof applySettings>>): void {
    if (notKept.length === 0) return
    const names = listNodes(notKept.map(({node}) => node))
    this.warnOperator(`On ${names} the ${what} last until the restart only: ${notKept[0]?.reason ?? ''}`)
  }

  /** Of nodes that are no cluster, or of what a creation has left that was cut off. */
  async #lookAtEmpty(
    session: ClusterSession | undefined,
    strangers: readonly Newcomer[],
    members: ReadonlyMap<string, ClusterNode>,
  ): Promise<Sight> {
    const begun = [...members.values()].flatMap(({id, reach}): Newcomer[] =>
      session && reach.kind === 'reached' ? [{port: session.node(id), view: reach.view}] : [],
    )
    const all = [...begun, ...strangers]
    await this.lockNodes(all.map(({port}) => port))
    requireEmpty(strangers)
    if (begun.length > 0) {
      const names = begun.map(({port}) => formatAddress(port.address)).join(', ')
      this.note(`A creation was cut off: ${names}, which have no keys, are made empty again first.`)
    }
    const ids = new Map(all.map(({port: {id, address}}) => [formatAddress(address), id]))
    const creation = planDesiredCreation(this.#file.declaration, ids)
    const leaders = new Set(this.#file.declaration.shards.flatMap(({nodes}) => nodes.slice(0, 1)).map(nameOf))
    const ports = all.map(({port}) => port)
    const primaries = ports.filter((port) => leaders.has(nameOf(port)))
    const stages = await this.#withContents(creation.stages, ports, primaries)
    return {session: undefined, strangers: all, isRemnant: begun.length > 0, plan: {...creation, stages}, records: []}
  }

  /** undefined: none of the declared nodes is in a cluster. @throws NodeError when none answers. */
  async #open(addresses: readonly string[]): Promise<ClusterSession | undefined> {
    const {seed} = this.#file
    if (seed !== undefined || this.isClusterNamed) {
      const session = await this.openCluster(seed)
      return isAlone(session.topology) ? undefined : session
    }
    const port = await this.openPort()
    const met = await mapBounded(addresses, 128, async (address) => {
      try {
        const {view} = await this.stoppable(meetNewcomer(port, this.parseAddress(address)))
        const isMember = view.entries.some(({isMyself, ranges}) => !isMyself || ranges.length > 0)
        return {address, isMember}
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        return {address, error}
      }
    })
    const members = met.filter(({isMember}) => isMember).map(({address}) => address)
    if (members.length > 0) return this.openCluster(members)
    const silent = met.find(({error}) => error)
    if (silent?.error) throw silent.error
    return undefined
  }
}

function nameOf({address}: {readonly address: NodeAddress}): string {
  return formatAddress(address)
}

function isAlone({nodes, owners}: Topology): boolean {
  return nodes.length === 1 && owners.every((owner) => owner === undefined)
}

/** All that is there is declared, has no key, and was never given all slots. */
function isRemnantOf({nodes, uncovered}: Topology, members: ReadonlyMap<string, ClusterNode>): boolean {
  const declared = new Set([...members.values()].map(({id}) => id))
  return (
    uncovered.length > 0 &&
    nodes.every(({id, reach}) => declared.has(id) && reach.kind === 'reached' && countKeys(reach.view) === 0)
  )
}

/** Moves that somebody has begun, wherever that was: the marks tell where to. */
function movesByMarks({openSlots}: Topology): SlotMove[] {
  return openSlots.flatMap((open) => {
    const move = moveOf(open)
    return move ? [{slot: open.slot, ...move}] : []
  })
}
