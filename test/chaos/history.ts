/**
 * Was every acknowledged write kept? Histories of a client's keys are held against what the cluster has in the end; what
 * is missing is held against the takeovers that the servers' logs tell of. Pure.
 */
import {keySlot} from '../../src/lib/slots/key-slot.ts'

export interface Write {
  readonly turn: number
  readonly op: 'set' | 'incr'
  /** null: deleted. Absent for counters. */
  readonly value?: string | null
  readonly lifeMs?: number
  readonly outcome: 'ack' | 'unknown'
  readonly reply?: unknown
  /** Who answered, or should have. */
  readonly node: string
  readonly sentMs: number
  readonly doneMs: number
}

/** What the client read itself, after its first `after` writes. */
export interface Reading {
  readonly after: number
  readonly reply: string | null
  readonly node: string
  readonly sentMs: number
  readonly doneMs: number
}

export interface KeyHistory {
  readonly key: string
  readonly kind: string
  readonly database: number
  readonly writes: readonly Write[]
  readonly reads: readonly Reading[]
}

/** What the cluster holds in the end. */
export interface FinalValue {
  /** null: no such key. */
  readonly value: string | null
  /** As PTTL says it. */
  readonly lifeMs: number
  readonly readMs: number
}

/** A node's replica took over without the node's help: what it had acknowledged in this time may be gone. */
export interface Takeover {
  readonly node: string
  readonly by: string
  readonly fromMs: number
  readonly toMs: number
}

/** Slots came to a node: what others had acknowledged came there at this time. */
export interface Arrival {
  readonly slots: ReadonlySet<number>
  readonly to: string
  readonly atMs: number
}

export interface Verdict {
  /** Nothing explains them. */
  readonly failures: readonly string[]
  /** Lost by the servers' own replication, with the grounds. */
  readonly attributed: readonly string[]
}

/** How far a replica may have lagged behind when its primary was lost. */
const LAG_MS = 2000
/** From a node's answer until the client has noted it. */
const ANSWER_MS = 1500
/** Clocks of the client and of the servers, and the time a server takes to answer. */
const EXPIRY_SLACK_MS = 1500

export function judge(
  histories: readonly KeyHistory[],
  finals: ReadonlyMap<string, FinalValue>,
  takeovers: readonly Takeover[],
  arrivals: readonly Arrival[],
): Verdict {
  const failures: string[] = []
  const attributed: string[] = []
  const known = new Set(histories.map(labelOf))
  for (const label of finals.keys()) if (!known.has(label)) failures.push(`${label} came from nowhere`)
  for (const history of histories) {
    const final = finals.get(labelOf(history)) ?? {value: null, lifeMs: -2, readMs: Date.now()}
    const losses = history.kind === 'counter' ? counterLosses(history, final) : valueLosses(history, final)
    for (const {text, lost, readFrom} of losses) {
      const grounds = lost?.map((write) => groundsFor(history.key, write, takeovers, arrivals))
      const stale = readFrom && takeovers.find((one) => isWithin(one, readFrom.node, readFrom.doneMs))
      if (stale) {
        attributed.push(`${text}; read from ${readFrom.node}, which ${stale.by} had replaced`)
      } else if (grounds && grounds.length > 0 && grounds.every((ground) => ground !== undefined)) {
        attributed.push(`${text}; ${[...new Set(grounds)].join('; ')}`)
      } else {
        failures.push(`${text}\n    ${tail(history)}`)
      }
    }
  }
  return {failures, attributed}
}

export function labelOf({key, database}: {readonly key: string; readonly database: number}): string {
  return `${database}/${key}`
}

/** Why a key of `slot` that came to be lost may be: it had just arrived at a node that was replaced. */
export function groundsForSlot(
  slot: number,
  takeovers: readonly Takeover[],
  arrivals: readonly Arrival[],
): string | undefined {
  for (const {slots, to, atMs} of arrivals) {
    const takeover = slots.has(slot) ? takeovers.find((one) => isWithin(one, to, atMs)) : undefined
    if (takeover) return `slot ${slot} came to ${to} at ${time(atMs)}, just before ${takeover.by} took over from it`
  }
  return undefined
}

interface Loss {
  readonly text: string
  /** Acknowledged, and gone. undefined: no loss explains it. */
  readonly lost: readonly Write[] | undefined
  readonly readFrom?: {readonly node: string; readonly doneMs: number}
}

function groundsFor(
  key: string,
  write: Write,
  takeovers: readonly Takeover[],
  arrivals: readonly Arrival[],
): string | undefined {
  const takeover = takeovers.find((one) => isWithin(one, write.node, write.doneMs))
  if (takeover) {
    const {node, by, fromMs} = takeover
    return `${node} acknowledged it at ${time(write.doneMs)}; ${by} took over from it, without it since ${time(fromMs)}`
  }
  const later = arrivals.filter(({atMs}) => atMs >= write.sentMs)
  return groundsForSlot(keySlot(Buffer.from(key)), takeovers, later)
}

function isWithin({node, fromMs, toMs}: Takeover, at: string, ms: number): boolean {
  return node === at && ms >= fromMs - LAG_MS && ms <= toMs + ANSWER_MS
}

/** Keys that are set, deleted, or expire. */
function valueLosses(history: KeyHistory, final: FinalValue): Loss[] {
  const {writes, reads} = history
  const name = labelOf(history)
  const losses: Loss[] = []
  for (const read of reads) {
    const loss = lossIn(
      `${name} read as ${read.reply}`,
      writes.slice(0, read.after),
      read.reply,
      read.sentMs,
      read.doneMs,
    )
    if (loss) losses.push({...loss, readFrom: read})
  }
  const loss = lossIn(`${name} is ${final.value} in the end`, writes, final.value, final.readMs, final.readMs)
  if (loss) losses.push(loss)
  else losses.push(...lifeLosses(name, writes, final))
  return losses
}

function lossIn(
  text: string,
  writes: readonly Write[],
  value: string | null,
  sentMs: number,
  doneMs: number,
): Loss | undefined {
  const lastAck = writes.findLastIndex(({outcome}) => outcome === 'ack')
  const isState = (write: Write): boolean => {
    const mayBeGone = write.lifeMs !== undefined && doneMs >= write.sentMs + write.lifeMs
    const mustBeGone = write.lifeMs !== undefined && sentMs > write.doneMs + write.lifeMs + EXPIRY_SLACK_MS
    if (value === null) return write.value === null || mayBeGone
    return write.value === value && !mustBeGone
  }
  const found = writes.findLastIndex(isState)
  if (found >= lastAck) return undefined
  // What never was written, or outlived its time, is no loss but something worse.
  if (found === -1 && value !== null) return {text: `${text}, which no write explains`, lost: undefined}
  const lost = writes.slice(found + 1).filter(({outcome}) => outcome === 'ack')
  return {text: `${text}, and ${lost.length} acknowledged writes (from turn ${lost[0]?.turn}) are missing`, lost}
}

/** A key that has its value, but not its time. */
function lifeLosses(name: string, writes: readonly Write[], final: FinalValue): Loss[] {
  if (final.value === null) return []
  const write = writes.findLast(({value}) => value === final.value)
  if (!write) return []
  if (write.lifeMs === undefined) {
    return final.lifeMs === -1 ? [] : [{text: `${name} expires, and was never told to`, lost: undefined}]
  }
  const endsMs = final.readMs + final.lifeMs
  const isKept =
    final.lifeMs >= 0 &&
    endsMs >= write.sentMs + write.lifeMs - EXPIRY_SLACK_MS &&
    endsMs <= write.doneMs + write.lifeMs + EXPIRY_SLACK_MS
  return isKept ? [] : [{text: `${name} has ${final.lifeMs} ms to live, not what was set`, lost: undefined}]
}

/** Each answer tells what the counter was: it only grows, by what was sent. */
function counterLosses(history: KeyHistory, final: FinalValue): Loss[] {
  const name = labelOf(history)
  const losses: Loss[] = []
  let highest = 0
  let unknown = 0
  let acked: Write[] = []
  const consider = (count: number, text: string): void => {
    if (count > highest + unknown) {
      losses.push({text: `${text}, more than the ${highest} + ${unknown} that were sent`, lost: undefined})
    } else if (count < highest) {
      const lost = acked.filter(({reply}) => Number(reply) > count)
      losses.push({text: `${text}, and ${lost.length} acknowledged increments are missing`, lost})
      acked = acked.filter(({reply}) => Number(reply) <= count)
    }
  }
  for (const write of history.writes) {
    if (write.outcome === 'unknown') {
      unknown++
      continue
    }
    const before = Number(write.reply) - 1
    consider(before, `${name} was ${before} at ${time(write.doneMs)} (turn ${write.turn})`)
    highest = before + 1
    unknown = 0
    acked.push(write)
  }
  consider(Number(final.value ?? 0), `${name} is ${final.value} in the end`)
  return losses
}

function tail({writes}: KeyHistory): string {
  const shown = writes.slice(-6).map(({op, turn, outcome, node, doneMs, reply}) => {
    return `${op} turn ${turn} ${outcome}${op === 'incr' ? ` ${String(reply)}` : ''} by ${node} at ${time(doneMs)}`
  })
  return `its last writes: ${shown.join(', ')}`
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23)
}
