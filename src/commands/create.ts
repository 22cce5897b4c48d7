import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {changeFlags, lockFlags, planFlags, positiveInteger, wholeNumber} from '../lib/cli/flags.ts'
import {requireDistinct} from '../lib/cli/node-argument.ts'
import {type GivenPlan, PlannedCommand} from '../lib/cli/planned-command.ts'
import {placeableNewcomers, readZoneLabels, zoneFlags} from '../lib/cli/zones.ts'
import {announce, readAnnounceFacts} from '../lib/engine/announce.ts'
import type {ClusterPort} from '../lib/engine/cluster-port.ts'
import {createCluster} from '../lib/engine/create-cluster.ts'
import {belongingsOf, meetNewcomers, type Newcomer, requireEmpty} from '../lib/engine/newcomers.ts'
import {openSession} from '../lib/engine/session.ts'
import {Stages, tellingHowFar} from '../lib/engine/stages.ts'
import {pollUntil} from '../lib/engine/waiting.ts'
import {RefusedError, UsageError} from '../lib/errors.ts'
import type {Finding} from '../lib/findings/finding.ts'
import {inspect} from '../lib/findings/inspect.ts'
import {isAnnounced, planAnnouncement, requireSettable} from '../lib/plan/announce.ts'
import {planCreate} from '../lib/plan/create.ts'
import type {Announcement, CreatePlan} from '../lib/plan/plan.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {lostSettings, renderAnnouncement} from '../lib/render/announcement.ts'
import {renderCreatePlan} from '../lib/render/plan.ts'
import {SLOT_COUNT} from '../lib/slots/slot.ts'
import {countSlots, formatRanges, parseRanges, slotsInRanges} from '../lib/slots/slot-ranges.ts'
import {isMapped} from '../lib/topology/inside-address.ts'
import {formatAddress, type NodeId, type Topology} from '../lib/topology/model.ts'
import {countKeys, labelNode, slotsOf} from '../lib/topology/queries.ts'

interface CreateReport {
  /** 'announced': the cluster was there already, and its nodes announce now what they are to. */
  readonly outcome: 'created' | 'planned' | 'already-there' | 'announced'
  readonly plan: CreatePlan | undefined
  readonly nodes: readonly string[]
  /** Absent where nothing was to be announced, or nothing has been. */
  readonly announcement?: AnnouncementReport
  readonly elapsedMs: number
}

interface AnnouncementReport extends Announcement {
  /** Nodes that forget it when they restart: they could not write their files. */
  readonly lost: readonly string[]
}

/** Sixty nodes agree within seconds; what is not there after this will not come by waiting. */
const DEADLINE_MS = 60_000
/** With --if-missing: how long nodes that are a cluster may take to be a healthy one. */
const SETTLE_MS = 10_000

export default class Create extends PlannedCommand<typeof Create> {
  static override summary = 'Build a cluster from empty nodes.'

  static override description = [
    'The nodes must be in cluster mode, without keys, slots or fellow nodes. Replicas are kept off the host and the zone of their primary where that is possible, and no zone gets most of the primaries; zones are named by --zone, a file, or the servers themselves (Valkey). Returns when all nodes agree and serve.',
    'Behind published ports --announce has the nodes send clients to the addresses named here, by settings of the servers (cluster-announce-*) that leave the traffic between the nodes alone where the servers have such. With --if-missing it does so for a cluster that is there.',
    'Exit codes: 0 created, or there already with --if-missing; 2 the words make no sense; 3 a node is not empty or not in cluster mode, or what is there already is not healthy; 4 a node did not answer, or said no; 5 the nodes did not come together in time; 130 stopped.',
  ].join('\n\n')
  static override usage = ['create NODE... [--replicas N]', 'create --nodes NODE NODE ... [--replicas N]']

  static override examples = [
    '<%= config.bin %> create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002',
    '<%= config.bin %> create --replicas 1 --nodes 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4',
    '<%= config.bin %> create --replicas 1 --nodes 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 --zones-file zones.txt',
    '<%= config.bin %> create 10.0.0.1 10.0.0.2 10.0.0.3 --if-missing --yes --json',
    '<%= config.bin %> create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002 --announce --dry-run',
  ]

  static override args = {
    nodes: word({description: 'addresses of empty nodes in cluster mode', multiple: true}),
  }

  static override flags = {
    ...changeFlags,
    ...lockFlags,
    ...planFlags,
    ...zoneFlags,
    nodes: Flags.string({summary: 'The nodes, as flag values.', helpValue: 'NODE', multiple: true}),
    replicas: wholeNumber({summary: 'Replicas of each primary.', aliases: ['cluster-replicas']}),
    primaries: positiveInteger({summary: 'How many primaries; the other nodes become replicas.'}),
    announce: Flags.boolean({
      summary: 'Send clients to the addresses named here, where the nodes have others of their own.',
      default: false,
    }),
    'if-missing': Flags.boolean({
      summary: 'Succeed when these nodes are a healthy cluster already, with others or without.',
      default: false,
    }),
  }

  async run(): Promise<CreateReport> {
    const words = [...(this.args.nodes ?? []), ...(this.flags.nodes ?? [])].flatMap((word) => word.split(','))
    const addresses = words.filter((word) => word !== '').map((word) => this.parseAddress(word))
    if (addresses.length === 0) {
      throw new UsageError('create needs the addresses of the nodes', {
        suggestions: ['rcluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002'],
      })
    }
    requireDistinct(addresses)
    const port = await this.openPort()
    const newcomers = await this.stoppable(meetNewcomers(port, addresses))
    if (this.flags['if-missing']) {
      const there = await this.#existing(port, newcomers)
      if (there) {
        requireHealthy(there, newcomers)
        const report = this.flags.announce && (await this.#announceExisting(newcomers))
        if (report) return report
        const [count, all] = [newcomers.length, there.topology.nodes.length]
        const these = count === 1 ? 'this node is' : `these ${count} nodes are`
        const cluster = all > count ? `in a healthy cluster of ${all} nodes` : 'a healthy cluster'
        this.print(`Nothing to do: ${these} ${cluster} already.`)
        if (this.isSaving) this.note('No plan was written: there is nothing to create.')
        return {outcome: 'already-there', plan: undefined, nodes: addresses.map(formatAddress), elapsedMs: 0}
      }
    }
    await this.lockNodes(newcomers.map(({port: node}) => node))
    requireEmpty(newcomers)
    const {replicas, primaries} = this.flags
    const plan = planCreate({
      nodes: placeableNewcomers(newcomers, readZoneLabels(this.flags)),
      ...(replicas === undefined ? {} : {replicas}),
      ...(primaries === undefined ? {} : {primaries}),
    })
    const announcement = this.flags.announce ? await this.#planAnnouncement(newcomers) : undefined
    if (this.flags.announce && !announcement) {
      this.note('The nodes know one another by these very addresses: there is nothing to announce.')
    }
    return this.#create(announcement ? {...plan, announcement} : plan, port, newcomers)
  }

  async #planAnnouncement(newcomers: readonly Newcomer[]): Promise<Announcement | undefined> {
    return planAnnouncement(await this.stoppable(readAnnounceFacts(newcomers)), await this.usesTls())
  }

  /**
   * For nodes that are a cluster already.
   * @param saved what a plan that was saved says; else it is planned now.
   * @returns undefined when there is nothing to do.
   */
  async #announceExisting(newcomers: readonly Newcomer[], saved?: Announcement): Promise<CreateReport | undefined> {
    const facts = await this.stoppable(readAnnounceFacts(newcomers))
    const announcement = saved ?? planAnnouncement(facts, await this.usesTls())
    if (!announcement || isAnnounced(announcement, facts)) return undefined
    requireSettable(announcement)
    const startedAt = performance.now()
    const ports = newcomers.map(({port: node}) => node)
    await this.lockNodes(ports)
    const report = {plan: undefined, nodes: ports.map(({address}) => formatAddress(address))}
    this.print(`These ${plural(ports.length, 'node')} are a healthy cluster already.`)
    this.print(`\n${renderAnnouncement(announcement, this.style)}`)
    if (this.isSaving) this.note('No plan was written: there is nothing to create.')
    const planned = {announcement: {...announcement, lost: []}}
    if (this.flags['dry-run']) return {outcome: 'planned', ...report, ...planned, elapsedMs: 0}
    await this.confirm('Announce these addresses?')
    const announced = await this.#announce(announcement, newcomers)
    return {outcome: 'announced', ...report, announcement: announced, elapsedMs: performance.now() - startedAt}
  }

  /** Of a cluster that serves. Tells what came of it. */
  async #announce(announcement: Announcement, newcomers: readonly Newcomer[]): Promise<AnnouncementReport> {
    const stages = new Stages({deadlineMs: DEADLINE_MS, signal: this.stopSignal, listener: this.listener()})
    const ports = newcomers.map(({port: node}) => node)
    const nodes = await tellingHowFar(
      'the cluster is there and serves, and is not announced as it should be',
      `rcluster create ${ports.map(({address}) => formatAddress(address)).join(' ')} --if-missing --announce`,
      () => announce(announcement, ports, stages),
    )
    const reason = nodes.find(({isLostBecause}) => isLostBecause !== undefined)?.isLostBecause
    const lost = nodes.filter(({isLostBecause}) => isLostBecause !== undefined).map(({address}) => address)
    if (reason !== undefined) this.warnOperator(lostSettings(lost, reason, announcement))
    this.print(`All ${plural(nodes.length, 'node')} send clients to the announced addresses.`)
    return {...announcement, lost}
  }

  protected override async applySaved(given: GivenPlan): Promise<CreateReport> {
    const saved = given.file.plan as CreatePlan
    const members = saved.primaries.flatMap(({replicas, ...primary}) => [primary, ...replicas])
    const port = await this.openPort()
    const meet = (): Promise<Newcomer[]> =>
      this.stoppable(
        meetNewcomers(
          port,
          members.map(({address}) => this.parseAddress(address)),
        ),
      )
    let newcomers = await meet()
    await this.lockNodes(newcomers.map(({port: node}) => node))
    const remnants = newcomers.filter((newcomer) => belongingsOf(newcomer).length > 0)
    if (remnants.length > 0) {
      const there = await this.#existing(port, newcomers)
      if (there && there.errors.length === 0 && there.topology.nodes.length === newcomers.length) {
        const {topology} = there
        this.requireNoShift(given, differencesFrom(saved, topology))
        const announced = saved.announcement && (await this.#announceExisting(newcomers, saved.announcement))
        if (announced) return {...announced, plan: saved}
        this.print(`Nothing to do: ${plural(topology.nodes.length, 'node')} are this very cluster already.`)
        return {
          outcome: 'already-there',
          plan: saved,
          nodes: topology.nodes.map(({address}) => formatAddress(address)),
          elapsedMs: 0,
        }
      }
      // Only what a run of this very plan leaves when it is cut off: whatever else is there is not ours to undo.
      if (!isRemnantOf(saved, newcomers)) requireEmpty(newcomers)
      const names = remnants.map(({port: node}) => formatAddress(node.address)).join(', ')
      this.note(
        `This plan was begun and cut off: ${names} ${remnants.length === 1 ? 'is' : 'are'} made empty again first.`,
      )
      if (!this.flags['dry-run']) {
        await this.confirm(`Reset ${names}, which ${remnants.length === 1 ? 'has' : 'have'} no keys?`)
        await Promise.all(remnants.map(({port: node}) => node.reset()))
        newcomers = await meet()
        requireEmpty(newcomers)
      }
    }
    const idAt = new Map(newcomers.map(({port: node}) => [formatAddress(node.address), node.id]))
    const today = <N extends {readonly id: NodeId; readonly address: string}>(node: N): N => ({
      ...node,
      id: idAt.get(node.address) ?? node.id,
    })
    const primaries = saved.primaries.map((primary) => ({...today(primary), replicas: primary.replicas.map(today)}))
    return this.#create({...saved, primaries}, port, newcomers)
  }

  async #create(plan: CreatePlan, port: ClusterPort, newcomers: readonly Newcomer[]): Promise<CreateReport> {
    const startedAt = performance.now()
    this.print(renderCreatePlan(plan, this.style))
    const report = {plan, nodes: newcomers.map(({port: node}) => formatAddress(node.address))}
    await this.savePlan(plan)
    if (this.flags['dry-run']) return {outcome: 'planned', ...report, elapsedMs: performance.now() - startedAt}
    await this.confirm('Create this cluster?')
    const created = await createCluster(
      plan,
      newcomers.map((newcomer) => newcomer.port),
      {deadlineMs: DEADLINE_MS, signal: this.stopSignal, listener: this.listener()},
    )
    const {announcement} = created
    const announced = announcement && {announcement: await this.#announce(announcement, newcomers)}
    await this.#rememberMapped(port, newcomers)
    const elapsedMs = performance.now() - startedAt
    const replicaCount = newcomers.length - plan.primaries.length
    const counts = `${plural(plan.primaries.length, 'primary')} and ${plural(replicaCount, 'replica')}`
    const verdict = 'All nodes agree and serve, all 16384 slots are covered.'
    this.print(`Created a cluster of ${counts} in ${formatDuration(elapsedMs)}.\n${verdict}`)
    return {outcome: 'created', ...report, plan: created, ...announced, elapsedMs}
  }

  /** Behind published ports later commands find the nodes by what is known now. */
  async #rememberMapped(port: ClusterPort, newcomers: readonly Newcomer[]): Promise<void> {
    const nodes = newcomers.map(({port: node}) => node)
    if (!nodes.some(({address, internalAddress}) => internalAddress && isMapped(address, internalAddress))) return
    const addresses = nodes.map(({address}) => address)
    this.rememberAddresses(await this.stoppable(openSession(port, addresses)))
  }

  /** The cluster in which all these nodes are, when it has slots; others may be in it, too. It is given time to settle. */
  async #existing(port: ClusterPort, newcomers: readonly Newcomer[]): Promise<Existing | undefined> {
    const [first] = newcomers
    if (!first || (first.view.entries.length === 1 && newcomers.length > 1)) return undefined
    const addresses = newcomers.map(({port: node}) => node.address)
    const session = await this.stoppable(openSession(port, addresses))
    this.rememberAddresses(session)
    const look = (): Existing | undefined => {
      const {topology} = session
      const isWhole = newcomers.every(({port: node}) => topology.nodesById.has(node.id))
      if (!isWhole || countSlots(topology.uncovered) === SLOT_COUNT) return undefined
      return {topology, errors: inspect(topology).filter(({severity}) => severity === 'error')}
    }
    // A run that was cut off, or is about to end, leaves nodes that have all they need and do not serve yet.
    await pollUntil(
      async () => {
        const seen = look()
        if (!seen || seen.errors.length === 0 || seen.topology.uncovered.length > 0) return true
        return void (await session.refresh())
      },
      {deadlineMs: SETTLE_MS, signal: this.stopSignal},
    )
    return look()
  }
}

interface Existing {
  readonly topology: Topology
  readonly errors: readonly Finding[]
}

/** @throws RefusedError: a cluster that is not well is nothing to make a new one of. */
function requireHealthy({topology, errors}: Existing, newcomers: readonly Newcomer[]): void {
  // Of what is wrong then, this is the cause of all else.
  const worst = errors.find(({id}) => id === 'moved-node') ?? errors[0]
  if (!worst) return
  const and = errors.length === 1 ? '' : `, and ${plural(errors.length - 1, 'other error')}`
  const places = newcomers.map(({port: {address}}) => formatAddress(address)).join(' ')
  throw new RefusedError(
    'unhealthy',
    `these nodes are ${topology.nodes.length === newcomers.length ? 'a' : 'in a'} cluster already, which is not healthy: ${worst.message}${and}`,
    {
      details: {findings: errors.map(({id, message}) => ({id, message}))},
      suggestions: [`rcluster check ${places}`, ...worst.suggestions],
    },
  )
}

/** Do the nodes hold nothing but slots that the plan gives them, and know nobody but each other? */
function isRemnantOf(plan: CreatePlan, newcomers: readonly Newcomer[]): boolean {
  const ids = new Set(newcomers.map(({port}) => port.id))
  const slotsAt = new Map(
    plan.primaries.map(({address, slots}) => [address, new Set(slotsInRanges(parseRanges(slots)))]),
  )
  return newcomers.every(({port, view}) => {
    const own = slotsInRanges(view.entries.find(({isMyself}) => isMyself)?.ranges ?? [])
    const planned = slotsAt.get(formatAddress(port.address))
    return (
      countKeys(view) === 0 &&
      view.entries.every(({id, flags}) => ids.has(id) || flags.has('handshake')) &&
      own.every((slot) => planned?.has(slot))
    )
  })
}

/** Of a healthy cluster of the nodes of the plan. */
function differencesFrom(plan: CreatePlan, topology: Topology): string[] {
  const nodeAt = new Map(topology.nodes.map((node) => [formatAddress(node.address), node]))
  return plan.primaries.flatMap(({address, slots}) => {
    const node = nodeAt.get(address)
    if (!node) return [`${address} is no member`]
    const owned = formatRanges(slotsOf(topology, node.id))
    if (owned === slots) return []
    return [`they are a cluster already, in which ${labelNode(node)} owns ${owned || 'no slots'}, and not ${slots}`]
  })
}
