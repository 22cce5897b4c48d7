/** A client that sends each command to the owner of its key, for what a test puts in and reads back. */
import {Redis} from 'ioredis'
import {keySlot} from '../../src/lib/slots/key-slot.ts'
import type {Specimen} from './every-type.ts'
import {splitAddress} from './servers.ts'

export interface ClusterClient {
  call(key: Buffer, command: readonly (string | number | Buffer)[]): Promise<unknown>
  has(command: string): boolean
  close(): void
}

export async function openClusterClient(
  seed: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<ClusterClient> {
  const open = (address: string): Redis => {
    const fixed = {protocol: 2, disableClientInfo: true, enableReadyCheck: false, retryStrategy: () => null} as const
    const client = new Redis({...splitAddress(address), ...fixed, ...options})
    client.on('error', () => {})
    return client
  }
  const first = open(seed)
  const rows = (await first.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
  const names = new Set(((await first.call('COMMAND', 'LIST')) as string[]).map((name) => name.toLowerCase()))
  first.disconnect()
  const clients = new Map(rows.map(([, , [host, port]]) => [`${host}:${port}`, open(`${host}:${port}`)]))
  return {
    call: (key, [name, ...words]) => {
      const slot = keySlot(key)
      const row = rows.find(([start, end]) => start <= slot && slot <= end)
      const client = row && clients.get(`${row[2][0]}:${row[2][1]}`)
      if (!client) throw new Error(`slot ${slot} has no owner`)
      return client.callBuffer(String(name), ...words)
    },
    has: (command) => names.has(command),
    close: () => {
      for (const client of clients.values()) client.disconnect()
    },
  }
}

export async function writeSpecimens(client: ClusterClient, all: readonly Specimen[]): Promise<void> {
  for (const {key, commands} of all) for (const command of commands) await client.call(key, command)
}

/** All that a client sees of each, with the life that is left to it in minutes. */
export async function readSpecimens(client: ClusterClient, all: readonly Specimen[]): Promise<Record<string, unknown>> {
  const seen: Record<string, unknown> = {}
  for (const {key, read, unordered} of all) {
    const answers: unknown[] = []
    for (const command of read) answers.push(readable(withoutIdle(command, await client.call(key, command))))
    if (unordered !== undefined) answers[0] = inOrder(answers[0] as string[], unordered)
    const life = Number(await client.call(key, ['PTTL', key]))
    seen[key.toString('latin1')] = {answers, lifeMinutes: life < 0 ? life : Math.round(life / 60_000)}
  }
  return seen
}

function inOrder(words: readonly string[], count: number): string[] {
  const groups: string[][] = []
  for (let at = 0; at < words.length; at += count) groups.push(words.slice(at, at + count))
  return groups.sort((a, b) => (a.join() < b.join() ? -1 : 1)).flat()
}

/** Rows of XPENDING are [ID, consumer, idle time, deliveries]. */
function withoutIdle([name]: readonly unknown[], answer: unknown): unknown {
  return name === 'XPENDING' ? (answer as unknown[][]).map(([id, consumer, , count]) => [id, consumer, count]) : answer
}

function readable(answer: unknown): unknown {
  if (Buffer.isBuffer(answer)) return answer.toString('latin1')
  if (!Array.isArray(answer)) return answer
  const words = answer.map(readable)
  // Times since a consumer was last heard of, and the memory's shape, go their own ways.
  const volatile = ['idle', 'inactive', 'seen-time', 'active-time', 'radix-tree-keys', 'radix-tree-nodes']
  return words.filter((_, index) => !volatile.includes(String(words[index - 1])))
}
