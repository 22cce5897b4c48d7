/**
 * A cluster with data and a live client, and a move of slots that is slow enough to be met in its middle by what a test
 * does to the servers. In the end everything has to be there, once, with no slot open.
 */
import type {ChildProcess} from 'node:child_process'
import {afterAll, afterEach, beforeEach, expect} from 'vitest'
import {compareDigests, type DataSetDigest, digestDataSet, loadDataSet, startWriter, type Writer} from './live-load.ts'
import type {Rcluster, RunResult} from './rcluster.ts'
import {
  eventually,
  rawCommand,
  type ServerKind,
  type StartOptions,
  splitAddress,
  startServers,
  type TestServers,
} from './servers.ts'

const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}
/** At the bandwidth below these take some seconds. */
const SLOTS = 250
const SLOWLY = ['--max-bandwidth', '50kb']

export interface SceneOptions extends StartOptions {
  /** Default 3. */
  readonly primaries?: number
  /** Of each primary; default none. */
  readonly replicas?: number
  readonly keys?: number
  /** More data, to be watched over like the rest. */
  readonly load?: (addresses: readonly string[]) => Promise<void>
}

/** A run of rcluster that tells what it does, one event a line. */
export interface Watched {
  readonly child: ChildProcess
  readonly ended: Promise<RunResult>
  /** Resolves at the `count`-th event of this kind from now on, or when the run ends. */
  until(kind: 'keys-moved' | 'slots-moved' | 'retry' | 'moves-started', count?: number): Promise<void>
  /** Resolves when these words are on stderr. @throws when the run ends without them. */
  untilTold(words: string): Promise<void>
}

/**
 * One scene for the tests of a suite. What a test that failed has left may be in any state: the next test, or the second
 * try at the same, gets a new one.
 */
export function useScene(open: () => Promise<FaultScene>): () => FaultScene {
  let scene: FaultScene | undefined
  beforeEach(async () => {
    scene ??= await open()
  })
  afterEach(async ({task}) => {
    if ((task.result?.errors?.length ?? 0) === 0) return
    const spoiled = scene
    scene = undefined
    await spoiled?.abandon()
  })
  afterAll(() => scene?.close())
  return () => scene!
}

export class FaultScene {
  readonly servers: TestServers
  readonly writer: Writer
  readonly #rcluster: Rcluster
  readonly #before: DataSetDigest
  #hasWriterEnded = false
  #lastRun: ChildProcess | undefined

  private constructor(servers: TestServers, writer: Writer, rcluster: Rcluster, before: DataSetDigest) {
    this.servers = servers
    this.writer = writer
    this.#rcluster = rcluster
    this.#before = before
  }

  /** Primaries first, then the replicas of each. */
  static async open(kind: ServerKind, rcluster: Rcluster, options: SceneOptions = {}): Promise<FaultScene> {
    const {primaries = 3, replicas = 0, keys = 10_000, load, ...start} = options
    const servers = await startServers(kind, primaries * (1 + replicas), {
      ...start,
      hasConfigFile: true,
      config: {'cluster-node-timeout': '2000', appendonly: 'yes', appendfsync: 'always', ...start.config},
    })
    try {
      await rcluster.ok('create', ...servers.addresses, '--replicas', String(replicas), '--yes')
      await loadDataSet(servers.addresses, {keys})
      await load?.(servers.addresses)
      const before = await digestDataSet(servers.addresses)
      const writer = await startWriter(servers.addresses, {opsPerSecond: 300, keys: 3000})
      return new FaultScene(servers, writer, rcluster, before)
    } catch (error) {
      await servers.stop()
      throw error
    }
  }

  at(index: number): string {
    return this.servers.addresses[index] ?? ''
  }

  run(...args: string[]): Promise<RunResult> {
    return this.#rcluster.run(args)
  }

  /** A key-by-key reshard, begun. */
  move(from: string, to: string, ...more: string[]): Watched {
    return this.start('reshard', from, to, String(SLOTS), '--mover', 'migrate', '--yes', ...SLOWLY, ...more)
  }

  start(...args: string[]): Watched {
    // Of a test that failed before its run had ended.
    this.#lastRun?.kill('SIGKILL')
    const {child, ended} = this.#rcluster.start([...args, '--progress', 'ndjson'])
    this.#lastRun = child
    let [told, isOver] = ['', false]
    child.stderr?.on('data', (chunk: Buffer) => {
      told += chunk.toString()
    })
    void ended.then(() => {
      isOver = true
    })
    const countOf = (kind: string): number => told.split(`"kind":"${kind}"`).length - 1
    return {
      child,
      ended,
      until: async (kind, count = 1) => {
        const wanted = countOf(kind) + count
        await eventually(`${count} events of ${kind}`, async () => isOver || countOf(kind) >= wanted, 60_000)
      },
      untilTold: async (words) => {
        await eventually(`"${words}" is told`, async () => isOver || told.includes(words), 60_000)
        if (!told.includes(words)) throw new Error(`the run ended without "${words}": ${told.slice(-2000)}`)
      },
    }
  }

  /** The primary that has most slots of those that the node at `index` began with: itself, or the one that took over. */
  async leaderOf(index: number): Promise<string> {
    return this.ownerOf([0, 5461, 10_923][index % 3] ?? 0)
  }

  /** As the first node that answers tells; empty when nobody owns it. */
  async ownerOf(slot: number): Promise<string> {
    const owners = (await Promise.all(
      this.servers.addresses.map((address) => rawCommand(address, ['CLUSTER', 'SLOTS']).catch(() => [])),
    )) as [number, number, [string, number]][][]
    const rows = owners.find((view) => view.length > 0) ?? []
    const row = rows.find(([start, end]) => start <= slot && slot <= end)
    return row ? `${row[2][0]}:${row[2][1]}` : ''
  }

  indexOf(address: string): number {
    return this.servers.addresses.indexOf(address)
  }

  /** Waits until every node says of the slots of this one what it says itself, and has for a while. */
  async allKnowSlotsOf(address: string): Promise<void> {
    const id = String(await rawCommand(address, ['CLUSTER', 'MYID']))
    const toldBy = async (viewer: string): Promise<string | undefined> => {
      const line = String(await rawCommand(viewer, ['CLUSTER', 'NODES']))
        .split('\n')
        .find((one) => one.startsWith(id))
      return line
        ?.split(' ')
        .slice(8)
        .filter((word) => !word.startsWith('['))
        .join(' ')
        .trim()
    }
    let before: string | undefined
    let since = 0
    await eventually(`all know the slots of ${address}`, async () => {
      const own = await toldBy(address)
      const isKnown = (await Promise.all(this.servers.addresses.map(toldBy))).every((told) => told === own)
      if (!isKnown || own !== before) [before, since] = [isKnown ? own : undefined, performance.now()]
      return isKnown && performance.now() - since > 500
    })
  }

  /** Waits until it has one that is linked. */
  async replicaOf(address: string): Promise<string> {
    let found = ''
    await eventually(
      `${address} has a replica`,
      async () => {
        const text = String(await rawCommand(address, ['INFO', 'replication']))
        const [, host, port] = /slave\d+:ip=([^,]+),port=(\d+),state=online/.exec(text) ?? []
        if (port !== undefined) found = `${host}:${port}`
        return found !== ''
      },
      30_000,
    )
    return found
  }

  /**
   * Runs `act` while neither the client nor `run` does anything and the replicas have all there is: what was acknowledged
   * before is not lost by the servers' asynchronous replication. `isClientBack`: false leaves the client frozen, for a
   * server that is only frozen acknowledges when it thaws what waits in its sockets, before it hears that it was replaced.
   */
  async atRest(
    run: Watched,
    address: string,
    act: () => Promise<void>,
    {isClientBack = true}: {readonly isClientBack?: boolean} = {},
  ): Promise<void> {
    // One that was restarted a moment ago may still be loading.
    await this.replicaOf(address)
    this.writer.freeze()
    run.child.kill('SIGSTOP')
    try {
      await eventually(
        'the replicas have all',
        async () => {
          const text = String(await rawCommand(address, ['INFO', 'replication']))
          const [, here] = /master_repl_offset:(\d+)/.exec(text) ?? []
          const there = [...text.matchAll(/slave\d+:.*state=online.*offset=(\d+)/g)].map(([, offset]) => offset)
          return there.length > 0 && there.every((offset) => offset === here)
        },
        30_000,
      )
    } catch (error) {
      run.child.kill('SIGKILL')
      this.writer.thaw()
      throw error
    }
    await act()
    run.child.kill('SIGCONT')
    if (isClientBack) this.writer.thaw()
  }

  /** Another tool moves a slot, as redis-cli does. */
  async takeSlot(slot: number, from: string, to: string): Promise<void> {
    const [idFrom, idTo] = await Promise.all(
      [from, to].map(async (address) => String(await rawCommand(address, ['CLUSTER', 'MYID']))),
    )
    await rawCommand(to, ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', idFrom!])
    await rawCommand(from, ['CLUSTER', 'SETSLOT', slot, 'MIGRATING', idTo!])
    await eventually('it is empty', async () => {
      const keys = (await rawCommand(from, ['CLUSTER', 'GETKEYSINSLOT', slot, 100], {asBuffers: true})) as Buffer[]
      const {host, port} = splitAddress(to)
      if (keys.length > 0) await rawCommand(from, ['MIGRATE', host, port, '', 0, 5000, 'KEYS', ...keys])
      return keys.length === 0
    })
    for (const address of [to, from]) await rawCommand(address, ['CLUSTER', 'SETSLOT', slot, 'NODE', idTo!])
  }

  async openSlots(): Promise<number[]> {
    const nodes = await Promise.all(
      this.servers.addresses.map((address) => rawCommand(address, ['CLUSTER', 'NODES']).catch(() => '')),
    )
    const slots = nodes.flatMap((text) => [...String(text).matchAll(/\[(\d+)-[<>]-/g)].map(([, slot]) => Number(slot)))
    return [...new Set(slots)].sort((a, b) => a - b)
  }

  /** Runs what a stopped run printed, as it was printed. */
  async goOn({stderr}: RunResult, ...more: string[]): Promise<RunResult> {
    const commands = [...stderr.matchAll(/rcluster (reshard .* --slots-list \S+)/g)].map(([, words = '']) => words)
    expect(commands, stderr).not.toEqual([])
    let last: RunResult | undefined
    for (const words of commands) last = await this.run(...words.split(' '), '--yes', ...more)
    return last!
  }

  /** No slot open, all nodes agree, every key there once, nothing that was acknowledged lost so far. */
  async expectWhole(): Promise<void> {
    await eventually(
      'all is well',
      async () => {
        const {code, stdout} = await this.run('check', this.at(0))
        if (code === 1) throw new Error(stdout)
        return true
      },
      30_000,
    )
    expect(await this.openSlots()).toEqual([])
    expect(compareDigests(this.#before, await digestDataSet(this.servers.addresses))).toEqual(UNTOUCHED)
  }

  /** The client reads all that it wrote once more: nothing that was acknowledged is lost. */
  async endWriter(): Promise<void> {
    if (this.#hasWriterEnded) return
    this.#hasWriterEnded = true
    const {lost, losses} = await this.writer.stop()
    expect(lost, JSON.stringify(losses, undefined, 2)).toEqual([])
  }

  /** Without a look at what the client lost: for a scene whose test has failed. */
  async abandon(): Promise<void> {
    this.#lastRun?.kill('SIGKILL')
    this.writer.kill()
    await this.servers.stop()
  }

  async close(): Promise<void> {
    try {
      await this.endWriter()
    } finally {
      await this.servers.stop()
    }
  }
}
