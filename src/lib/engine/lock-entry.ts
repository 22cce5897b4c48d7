/**
 * What does a rcluster at work say of itself, and how is that read? As the name of a client connection: others find it in
 * CLIENT LIST. What is read may come from anybody: it is checked, cut and freed of control characters.
 */
import type {NamedClient} from './cluster-port.ts'

/** Before the version of the format. */
export const LOCK_PREFIX = 'rcluster-lock:'
const VERSION = '1'

/** Who is at work, for the person who is kept waiting. */
export interface LockOwner {
  readonly host: string
  readonly user: string
  readonly pid: number
  /** ISO 8601. */
  readonly since: string
  /** Without secrets. */
  readonly command: string
}

/**
 * claiming: asks whether others are there. held: at work. yielding: was told to give way, and finishes what is in flight.
 * done: has given way, and is only there so that the other knows.
 */
export type LockPhase = 'claiming' | 'held' | 'yielding' | 'done'

export interface LockEntry extends LockOwner {
  /** One for each run; the smallest of several claims goes first. */
  readonly nonce: string
  readonly phase: LockPhase
  /** Whoever holds the lock is to give way. */
  readonly isTaking: boolean
  /** Silent for longer, it counts as gone. */
  readonly leaseMs: number
}

/** One run, as seen at one or several nodes. */
export interface Contestant {
  readonly entry: LockEntry
  /** The least over all its connections. */
  readonly idleMs: number
  readonly clients: readonly {readonly node: number; readonly id: string}[]
}

const LONGEST_TEXT = 200
const LONGEST_LEASE_MS = 10 * 60_000
const PHASES: readonly string[] = ['claiming', 'held', 'yielding', 'done'] satisfies LockPhase[]

/** Names of clients take no spaces and nothing beyond ASCII. */
export function formatLockName(entry: LockEntry): string {
  const command = entry.command.slice(0, LONGEST_TEXT)
  return `${LOCK_PREFIX}${VERSION}:${Buffer.from(JSON.stringify({...entry, command})).toString('base64url')}`
}

/** undefined for names that are none of ours. A later version's name is the lock of somebody of whom nothing is known. */
export function parseLockName(name: string): LockEntry | undefined {
  if (!name.startsWith(LOCK_PREFIX)) return undefined
  const [version, body = ''] = name.slice(LOCK_PREFIX.length).split(':')
  if (version !== VERSION) return undefined
  let value: Partial<Record<keyof LockEntry, unknown>>
  try {
    value = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as typeof value
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const {nonce, phase, leaseMs, pid} = value
  if (typeof nonce !== 'string' || !/^[0-9a-f]{8,64}$/.test(nonce)) return undefined
  if (typeof phase !== 'string' || !PHASES.includes(phase)) return undefined
  return {
    host: textOf(value.host),
    user: textOf(value.user),
    command: textOf(value.command),
    since: textOf(value.since),
    pid: Number.isSafeInteger(pid) ? Number(pid) : 0,
    nonce,
    phase: phase as LockPhase,
    isTaking: value.isTaking === true,
    leaseMs: typeof leaseMs === 'number' && leaseMs > 0 ? Math.min(leaseMs, LONGEST_LEASE_MS) : LONGEST_LEASE_MS,
  }
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') return '?'
  return (
    value
      .replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, ' ')
      .trim()
      .slice(0, LONGEST_TEXT) || '?'
  )
}

/** The runs that show at the nodes, `ownNonce` left out; sorted by nonce. */
export function contestantsAmong(lists: readonly (readonly NamedClient[])[], ownNonce?: string): Contestant[] {
  const found = new Map<string, Contestant>()
  for (const [node, clients] of lists.entries()) {
    for (const {id, name, idleMs} of clients) {
      const entry = parseLockName(name)
      if (!entry || entry.nonce === ownNonce) continue
      const before = found.get(entry.nonce)
      found.set(entry.nonce, {
        entry: before ? furtherOf(before.entry, entry) : entry,
        idleMs: Math.min(idleMs, before?.idleMs ?? idleMs),
        clients: [...(before?.clients ?? []), {node, id}],
      })
    }
  }
  return [...found.values()].sort((a, b) => (a.entry.nonce < b.entry.nonce ? -1 : 1))
}

/** A name that changes does so at one node after the other. */
function furtherOf(a: LockEntry, b: LockEntry): LockEntry {
  return PHASES.indexOf(a.phase) >= PHASES.indexOf(b.phase) ? a : b
}

export function isExpired({entry, idleMs}: Contestant): boolean {
  return idleMs >= entry.leaseMs
}

/** Who holds the lock, or is about to. */
export function holderAmong(lists: readonly (readonly NamedClient[])[]): LockEntry | undefined {
  const live = contestantsAmong(lists).filter((one) => !isExpired(one) && one.entry.phase !== 'done')
  return (live.find(({entry}) => entry.phase !== 'claiming') ?? live[0])?.entry
}

/** "ada@db-admin (process 4711, since 2026-11-23 14:03:12 UTC)" */
export function describeOwner({user, host, pid, since}: LockOwner): string {
  const time = since.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d).*$/, '$1 $2 UTC')
  return `${user}@${host} (process ${pid}, since ${time})`
}

/** The same, "is at work on this cluster: rcluster reshard …" */
export function describeWork(owner: LockOwner): string {
  return `${describeOwner(owner)} is at work on this cluster: ${owner.command}`
}
