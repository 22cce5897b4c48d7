/**
 * One round of chaos: a cluster, clients that write, operations with a fault in each, health by rcluster alone, and every
 * acknowledged write accounted for. What is drawn comes from the seed; what the machine's speed decides does not.
 */
import {fork} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, writeFileSync} from 'node:fs'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'
import {LIVE_PREFIX, loadDataSet} from '../support/live-load.ts'
import {openRcluster, type Rcluster} from '../support/rcluster.ts'
import {rawCommand, type ServerKind} from '../support/servers.ts'
import {EventLog} from './event-log.ts'
import {FAULTS, type Fault, slotsOfKeys} from './faults.ts'
import {type Arrival, judge, type KeyHistory} from './history.ts'
import {drawOperation, type Operation} from './operations.ts'
import {ownMap} from './picture.ts'
import {Random} from './random.ts'
import {type Command, type CommandEnd, startCommand, wrongEnd} from './running.ts'
import {drawLayout, lookAround, NODE_TIMEOUT_MS, openStage, type Stage} from './stage.ts'
import {findTakeovers} from './takeovers.ts'
import {changedSettings, readContents, readDigests, readSettings, wrongData, wrongSlots} from './verify.ts'

export interface RoundOptions {
  readonly seed: number
  readonly kind: ServerKind
  /** Where the log and the servers' logs go. */
  readonly folder: string
  readonly canCut: boolean
}

export interface RoundReport {
  readonly failures: readonly string[]
  /** Lost by the servers' own replication. */
  readonly attributed: readonly string[]
  readonly acknowledged: number
  readonly commands: number
  readonly summary: string
}

const LANES = 12
const KEYS_PER_LANE = 20
/** Commands until a cluster is well again, for each operation. */
const MENDING_COMMANDS = 12

export async function runRound({seed, kind, folder, canCut}: RoundOptions): Promise<RoundReport> {
  mkdirSync(folder, {recursive: true})
  const log = new EventLog(folder)
  const random = new Random(seed)
  const layout = drawLayout(random, kind, canCut)
  const shape = `${layout.primaries}+${layout.replicas}${layout.isPersistent ? ' with AOF' : ''}${layout.isNetworked ? ', a host each' : ''}${layout.databases > 1 ? `, ${layout.databases} databases` : ''}`
  log.say(`seed ${seed}, ${kind.name} ${kind.version}, ${shape}`)
  const stage = await openStage(kind, layout, log)
  const rcluster = openRcluster()
  const round = new Round(stage, rcluster, random, seed)
  try {
    const names = await round.play()
    return {...round.report(), summary: `${shape}: ${names.join('; ')}`}
  } catch (error) {
    log.say(`the round broke off: ${(error as Error).stack}`)
    round.failures.push(`the round broke off: ${(error as Error).message}`)
    return {...round.report(), summary: shape}
  } finally {
    if (round.failures.length > 0) {
      keepLogs(stage, folder)
      writeFileSync(path.join(folder, 'histories.json'), JSON.stringify(round.histories))
    }
    await stage.close()
    rcluster.close()
  }
}

function keepLogs({servers, log}: Stage, folder: string): void {
  servers.addresses.forEach((address, index) => {
    writeFileSync(path.join(folder, `server-${index}-${address.replace(/[^\w.]/g, '_')}.log`), servers.log(index))
  })
  log.say(`the servers' logs are in ${folder}`)
}

class Round {
  readonly #stage: Stage
  readonly #rcluster: Rcluster
  readonly #random: Random
  readonly #seed: number
  readonly failures: string[] = []
  readonly #attributed: string[] = []
  readonly #commands: Command[] = []
  #acknowledged = 0
  /** Of the clients' keys, once they have stopped. */
  histories: readonly KeyHistory[] = []

  constructor(stage: Stage, rcluster: Rcluster, random: Random, seed: number) {
    this.#stage = stage
    this.#rcluster = rcluster
    this.#random = random
    this.#seed = seed
  }

  report(): Omit<RoundReport, 'summary'> {
    return {
      failures: this.failures,
      attributed: this.#attributed,
      acknowledged: this.#acknowledged,
      commands: this.#commands.length,
    }
  }

  async play(): Promise<string[]> {
    const {servers, layout} = this.#stage
    const members = servers.addresses.slice(0, layout.primaries + layout.replicas)
    const replicas = layout.replicas > 0 ? ['--replicas', '1'] : []
    await this.#must(['create', ...members, ...replicas])
    for (let database = 0; database < layout.databases; database++) {
      await loadDataSet(members, {keys: 5000, seed: this.#seed, database})
    }
    if (this.#random.isHit(0.25)) await this.#loadBigKey(members)
    await this.#must(['wait', members[0] ?? '', '--for', 'healthy'])
    const settings = await readSettings(this.#stage)
    const digests = await readDigests(this.#stage)
    const client = await startClient(members, layout.databases)
    const names: string[] = []
    try {
      const count = this.#random.whole(1, 2)
      for (let n = 0; n < count && this.failures.length === 0; n++) names.push(await this.#operate())
    } finally {
      const told = await client.stop()
      this.#acknowledged = told.acknowledged
      this.histories = told.histories
      this.#stage.log.say(`clients: ${told.acknowledged} acknowledged, refused: ${JSON.stringify(told.refusals)}`)
      await this.#account(told.histories, settings, digests)
    }
    return names
  }

  /** One operation with its fault, and the cluster well again. */
  async #operate(): Promise<string> {
    const stage = this.#stage
    const before = await lookAround(stage)
    const members = new Set(before.map(({address}) => address))
    const spares = stage.servers.addresses.filter((address) => !members.has(address))
    const ground = {pictures: before, spares, isPersistent: stage.layout.isPersistent}
    const operation = drawOperation(this.#random, ground)
    const fault = this.#random.pick(FAULTS.filter(({fits}) => fits?.(stage) ?? true))
    const atEvent = this.#random.whole(1, 25)
    const own = new Random(this.#random.whole(0, 2 ** 31))
    const hasSecond = this.#random.isHit(0.12)
    const second = hasSecond ? drawOperation(this.#random, ground) : undefined
    const name = `${operation.args[0]} with ${fault.name}${second ? ` and ${second.args[0]} beside it` : ''}`
    stage.log.say(`operation: ${name}, at event ${atEvent}`)

    const command = this.#start(operation.args)
    const beside = second && this.#start(second.args)
    await command.untilEvent(atEvent)
    if (command.hasEnded) stage.log.say('the fault comes too late: the operation has ended')
    const scene = {stage, operation, command, random: own, liveSlots: slotsOfKeys(liveKeys())}
    if (!command.hasEnded || fault.isForeign) await fault.strike(scene)
    const end = await command.ended
    await beside?.ended
    const wasKilled = fault.isOurs === true
    this.#judgeEnd(end, wasKilled)
    if (beside) this.#judgeEnd(await beside.ended, false)
    await this.#judgeTruth(operation, end, fault, second !== undefined, ownMap(before))
    if (this.failures.length > 0) return name
    const last = await this.#mend(operation, end)
    if (last && last !== end && !second) await this.#judgeTruth(operation, last, fault, false, ownMap(before))
    return name
  }

  #judgeEnd(end: CommandEnd, wasKilled: boolean): void {
    const wrong = wrongEnd(end, wasKilled)
    if (wrong !== undefined) this.failures.push(wrong)
  }

  /** Does the exit code say what is so? */
  async #judgeTruth(
    {args, isDone, isOfRoles}: Operation,
    {code, message}: CommandEnd,
    fault: Fault,
    hasSecond: boolean,
    before: string,
  ): Promise<void> {
    const isAlone = !fault.isForeign && !hasSecond
    if (code === 0 && isDone && !hasSecond && !(isOfRoles && fault.isForeign)) {
      const deadline = Date.now() + 5000
      while (!isDone(await lookAround(this.#stage))) {
        if (Date.now() > deadline) {
          this.failures.push(`rcluster ${args.join(' ')} ended with 0, and it is not done`)
          return
        }
        await sleep(100)
      }
    }
    if (code === 3 && isAlone && ownMap(await lookAround(this.#stage)) !== before) {
      this.failures.push(`rcluster ${args.join(' ')} ended with 3 (${message}), and slots or roles have changed`)
    }
  }

  /**
   * Until the operation is done and check finds nothing: what was printed, the same command, fix.
   * @returns how the operation ended at last.
   */
  async #mend(operation: Operation, first: CommandEnd): Promise<CommandEnd | undefined> {
    let end = first
    let isDone = end.code === 0
    let {args} = operation
    for (let n = 0; n < MENDING_COMMANDS && this.failures.length === 0; n++) {
      const seed = await this.#living()
      if (isDone) {
        const wait = await this.#run(['wait', seed, '--for', 'healthy', '--timeout', n === 0 ? '4s' : '15s'])
        // Other nodes than the operation speaks of have done it then.
        if (wait.code === 0) return end.code === 0 && args === operation.args ? end : undefined
        const allowed = n > 2 ? ['--allow', 'disruptive'] : []
        await this.#run(['fix', seed, ...allowed])
        continue
      }
      if (operation.isOnce && operation.isDone?.(await lookAround(this.#stage))) {
        isDone = true
        continue
      }
      const wait = await this.#run(['wait', seed, '--for', 'healthy', '--timeout', '6s'])
      if (wait.code !== 0 && n > 0) {
        await this.#run(['fix', seed, ...(n > 4 ? ['--allow', 'disruptive'] : [])])
      }
      const [goesOn] = end.printed.filter(([word]) => word === operation.args[0])
      args = end.instead ?? args
      end = await this.#run(goesOn && this.#seed % 2 === 0 ? goesOn : args)
      isDone = end.code === 0
    }
    if (this.failures.length === 0) {
      this.failures.push(`the cluster was not well after ${MENDING_COMMANDS} commands: ${end.message}`)
    }
    return undefined
  }

  /** A member that answers: spares do, too, and know nobody. */
  async #living(): Promise<string> {
    for (let tries = 0; tries < 100; tries++) {
      const [first] = await lookAround(this.#stage)
      if (first) return first.address
      await sleep(100)
    }
    throw new Error('no server answers')
  }

  async #account(
    histories: readonly KeyHistory[],
    settings: Awaited<ReturnType<typeof readSettings>>,
    digests: Awaited<ReturnType<typeof readDigests>>,
  ): Promise<void> {
    const {servers, blows, log} = this.#stage
    const logs = servers.addresses.map((address, index) => ({address, text: servers.log(index)}))
    const takeovers = findTakeovers(logs, blows, 2 * NODE_TIMEOUT_MS)
    for (const {node, by, fromMs} of takeovers) {
      log.say(`takeover: ${by} from ${node}, which was alone since ${new Date(fromMs).toISOString()}`)
    }
    const arrivals = await this.#arrivals()
    this.failures.push(...(await wrongSlots(this.#stage)))
    const {finals, wrong} = await readContents(this.#stage)
    this.failures.push(...wrong)
    const live = judge(histories, finals, takeovers, arrivals)
    const still = wrongData(digests, await readDigests(this.#stage), takeovers, arrivals)
    this.failures.push(...live.failures, ...still.failures)
    this.#attributed.push(...live.attributed, ...still.attributed)
    this.failures.push(...changedSettings(settings, await readSettings(this.#stage)))
    for (const {child} of this.#commands) {
      if (child.exitCode === null && child.signalCode === null)
        this.failures.push(`process ${child.pid} is still there`)
    }
    for (const text of this.failures) log.say(`FAILURE: ${text}`)
    for (const text of this.#attributed) log.say(`lost by the servers' replication: ${text}`)
  }

  /** What came where and when, as the commands told. */
  async #arrivals(): Promise<Arrival[]> {
    const addresses = new Map(
      (await lookAround(this.#stage)).flatMap(({lines}) => lines.map(({id, address}) => [id, address])),
    )
    return this.#commands.flatMap(({events}) =>
      events.flatMap(({kind, slot, slots, to, time}) => {
        // Keys that a target confirmed are its own from then on, whoever gets their slot in the end.
        const came = kind === 'slots-moved' && Array.isArray(slots) ? slots : kind === 'keys-moved' ? [slot ?? -1] : []
        if (came.length === 0) return []
        return [{slots: new Set<number>(came), to: addresses.get(to ?? '') ?? '', atMs: Date.parse(time)}]
      }),
    )
  }

  /** A list that takes MIGRATE longer than the rest together. */
  async #loadBigKey(members: readonly string[]): Promise<void> {
    const key = 'big:list'
    for (const address of members) {
      const words = Array.from({length: 20_000}, (_, n) => `element ${n} ${'x'.repeat(100)}`)
      try {
        await rawCommand(address, ['RPUSH', key, ...words])
        this.#stage.log.say(`${key} is at ${address}`)
        return
      } catch {
        // It is another's.
      }
    }
  }

  #start(args: readonly string[]): Command {
    const command = startCommand(this.#rcluster, args, this.#stage.log)
    this.#commands.push(command)
    return command
  }

  async #run(args: readonly string[]): Promise<CommandEnd> {
    const end = await this.#start(args).ended
    this.#judgeEnd(end, false)
    return end
  }

  async #must(args: readonly string[]): Promise<void> {
    const end = await this.#run(args)
    if (end.code !== 0) throw new Error(`rcluster ${args.join(' ')} ended with ${end.code}: ${end.message}`)
  }
}

interface ClientResult {
  readonly histories: readonly KeyHistory[]
  readonly acknowledged: number
  readonly refusals: Readonly<Record<string, number>>
}

const KINDS = ['string', 'counter', 'deleted', 'expiring', 'string']

/** As client.js names them. */
function liveKeys(): string[] {
  return Array.from({length: LANES * KEYS_PER_LANE}, (_, n) => `${LIVE_PREFIX}${KINDS[n % KINDS.length]}:${n}`)
}

async function startClient(seeds: readonly string[], databases: number): Promise<{stop(): Promise<ClientResult>}> {
  const words = {seeds, databases, lanes: LANES, keysPerLane: KEYS_PER_LANE, prefix: LIVE_PREFIX, pauseMs: 25}
  const script = fileURLToPath(new URL('client.js', import.meta.url))
  const child = fork(script, [JSON.stringify(words)], {execArgv: []})
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the client ended by itself: ${signal ?? `exit code ${code}`}`)
  })
  ended.catch(() => {})
  await Promise.race([once(child, 'message'), ended])
  return {
    stop: async () => {
      const answer = once(child, 'message')
      child.send('stop')
      const [result] = (await Promise.race([answer, ended])) as [ClientResult]
      return result
    },
  }
}
