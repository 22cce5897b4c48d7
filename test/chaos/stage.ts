/** Where does a round take place? Real servers of one kind, some of them spare, and what was done to them. */
import {setTimeout as sleep} from 'node:timers/promises'
import {openNetwork, type TestNetwork} from '../support/network.ts'
import {rawCommand, type ServerKind, startServers, type TestServers} from '../support/servers.ts'
import type {EventLog} from './event-log.ts'
import {isPrimary, type NodePicture, readPictures} from './picture.ts'
import type {Random} from './random.ts'
import type {Blow} from './takeovers.ts'

export const NODE_TIMEOUT_MS = 2000

export interface Layout {
  readonly primaries: number
  readonly replicas: number
  readonly spares: number
  /** With appendfsync always: what was acknowledged survives a kill of the process. */
  readonly isPersistent: boolean
  /** Each server on a host of its own, so that two can be cut off from one another. */
  readonly isNetworked: boolean
  readonly databases: number
}

export interface Stage {
  readonly kind: ServerKind
  readonly layout: Layout
  readonly servers: TestServers
  readonly network: TestNetwork | undefined
  readonly log: EventLog
  /** When nodes were killed, frozen or cut off. */
  readonly blows: Blow[]
  /** Those that were killed, and not started again yet. */
  readonly dead: Set<number>
  close(): Promise<void>
}

export function drawLayout(random: Random, kind: ServerKind, canCut: boolean): Layout {
  const hasReplicas = random.isHit(0.75)
  const isPersistent = !hasReplicas || random.isHit(0.5)
  const isNetworked = random.isHit(0.3) && canCut
  const hasDatabases = kind.family === 'valkey' && kind.version.startsWith('9.')
  return {
    primaries: hasReplicas ? 3 : 4,
    replicas: hasReplicas ? 3 : 0,
    spares: 2,
    isPersistent,
    isNetworked,
    databases: hasDatabases && random.isHit(0.5) ? 2 : 1,
  }
}

export async function openStage(kind: ServerKind, layout: Layout, log: EventLog): Promise<Stage> {
  const count = layout.primaries + layout.replicas + layout.spares
  const network = layout.isNetworked ? await openNetwork(count) : undefined
  const config: Record<string, string> = {
    'cluster-node-timeout': String(NODE_TIMEOUT_MS),
    appendonly: layout.isPersistent ? 'yes' : 'no',
    appendfsync: 'always',
    'repl-timeout': '5',
    'repl-ping-replica-period': '1',
    ...(layout.databases > 1 ? {'cluster-databases': String(layout.databases)} : {}),
  }
  try {
    const servers = await startServers(kind, count, {config, ...(network ? {hosts: network.hosts} : {})})
    return {
      kind,
      layout,
      servers,
      network,
      log,
      blows: [],
      dead: new Set(),
      close: async () => {
        await servers.stop()
        await network?.close()
      },
    }
  } catch (error) {
    await network?.close()
    throw error
  }
}

/** Of the servers that are in the cluster and answer. */
export async function lookAround(stage: Stage): Promise<NodePicture[]> {
  const pictures = await readPictures(stage.servers.addresses)
  return pictures.filter(({lines}) => lines.length > 1)
}

export function indexOf(stage: Stage, address: string): number {
  return stage.servers.addresses.indexOf(address)
}

/**
 * Kills a server and starts it again: after a while where its disk has all, else when its replica has taken over, for it
 * comes back empty.
 */
export async function crash(stage: Stage, index: number, downMs: number): Promise<void> {
  const {servers, layout, log, blows, dead} = stage
  const address = servers.addresses[index] ?? ''
  const [before] = await readPictures([address])
  const mustBeReplaced = !layout.isPersistent && before !== undefined && isPrimary(before.self)
  if (mustBeReplaced && !(await hasReadyReplica(address))) {
    log.say(`fault: ${address} is not killed: no replica is ready to take over`)
    return
  }
  blows.push({node: address, atMs: Date.now()})
  dead.add(index)
  await servers.kill(index)
  log.say(`fault: killed ${address}`)
  await sleep(downMs)
  if (mustBeReplaced && before) await untilReplaced(stage, before.self.id)
  await servers.restart(index)
  dead.delete(index)
  log.say(`fault lifted: started ${address} again`)
}

async function hasReadyReplica(address: string): Promise<boolean> {
  const info = String(await rawCommand(address, ['INFO', 'replication']))
  return /^slave\d+:.*state=online/m.test(info)
}

async function untilReplaced(stage: Stage, id: string): Promise<void> {
  const deadline = Date.now() + 30_000
  while (Date.now() < deadline) {
    const pictures = await lookAround(stage)
    if (pictures.length > 0 && pictures.every(({lines}) => isReplaced(lines.find((line) => line.id === id)))) return
    await sleep(100)
  }
  stage.log.say(`fault: nobody took over from ${id} within 30 s`)
}

function isReplaced(line: NodePicture['lines'][number] | undefined): boolean {
  return line === undefined || line.slots.length === 0 || !isPrimary(line)
}
