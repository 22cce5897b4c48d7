/** What does CLIENT LIST tell? Pure. */
import type {NamedClient} from '../engine/cluster-port.ts'

/** A client that has been silent for longer is asleep. */
export const AWAKE_MS = 10_000

/** Of clients: no replica or primary, not the socket that a MIGRATE leaves for ten seconds, not asleep. */
export function countAtWork(list: string): number {
  return list.split('\n').filter((line) => {
    const isServer = /[SM]/.test(fieldIn(line, 'flags')) || fieldIn(line, 'cmd') === 'restore-asking'
    return line !== '' && !isServer && 1000 * Number(fieldIn(line, 'idle')) < AWAKE_MS
  }).length
}

/** Looked for as a whole first: of ten thousand lines one or two are wanted. */
export function namedClientsIn(list: string, prefix: string): NamedClient[] {
  const clients: NamedClient[] = []
  for (let at = list.indexOf(` name=${prefix}`); at !== -1; at = list.indexOf(` name=${prefix}`, at + 1)) {
    const start = list.lastIndexOf('\n', at) + 1
    const end = list.indexOf('\n', at)
    const line = list.slice(start, end === -1 ? undefined : end)
    const [id, name] = [fieldIn(line, 'id'), fieldIn(line, 'name')]
    clients.push({id, name, idleMs: 1000 * Number(fieldIn(line, 'idle'))})
  }
  return clients
}

function fieldIn(line: string, name: string): string {
  return new RegExp(`(?:^| )${name}=(\\S*)`).exec(line)?.[1] ?? ''
}
