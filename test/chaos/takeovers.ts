/** Which replicas took over without their primary's help, and when? As the servers' logs tell it. Pure. */
import type {Takeover} from './history.ts'

export interface ServerLog {
  readonly address: string
  readonly text: string
}

/** A moment at which a node was hit: from then on its replica may have missed what it acknowledged. */
export interface Blow {
  readonly node: string
  readonly atMs: number
}

const STAMP = /^\d+:\w (\d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2}\.\d{3}) \S (.*)$/

interface LogLine {
  readonly atMs: number
  readonly text: string
}

function linesOf({text}: ServerLog): LogLine[] {
  return text.split('\n').flatMap((line) => {
    const [, stamp, words] = STAMP.exec(line) ?? []
    return stamp === undefined || words === undefined ? [] : [{atMs: Date.parse(stamp), text: words}]
  })
}

/**
 * Coordinated failovers, in which the primary waits for its replica, are none: they must lose nothing.
 * @param blindMs how long a primary may be alone before its replica is elected, where no blow is known.
 */
export function findTakeovers(logs: readonly ServerLog[], blows: readonly Blow[], blindMs: number): Takeover[] {
  const lines = new Map(logs.map((log) => [log.address, linesOf(log)]))
  return logs.flatMap(({address}) => takeoversBy(address, lines, blows, blindMs))
}

function takeoversBy(
  by: string,
  lines: ReadonlyMap<string, readonly LogLine[]>,
  blows: readonly Blow[],
  blindMs: number,
): Takeover[] {
  const found: Takeover[] = []
  let primary: string | undefined
  let isCoordinated = false
  for (const {atMs, text} of lines.get(by) ?? []) {
    const [, followed] = /(?:Connecting|Reconnecting) to (?:MASTER|PRIMARY) (\S+)/.exec(text) ?? []
    if (followed !== undefined) {
      primary = followed
      isCoordinated = false
    } else if (/All (?:master|primary) replication stream processed/.test(text)) {
      isCoordinated = true
    } else if (/Failover election won|Taking over the (?:master|primary)/.test(text)) {
      if (primary !== undefined && !isCoordinated) {
        const struck = blows.filter((blow) => blow.node === primary && blow.atMs <= atMs).map((blow) => blow.atMs)
        const fromMs = Math.max(...struck, atMs - blindMs)
        found.push({node: primary, by, fromMs: Math.min(fromMs, atMs), toMs: endOf(primary, atMs, lines)})
      }
      isCoordinated = false
    }
  }
  return found
}

/** Until the old primary knows: till then it acknowledges what nobody will keep. */
function endOf(node: string, sinceMs: number, lines: ReadonlyMap<string, readonly LogLine[]>): number {
  const knows = /Connecting to (?:MASTER|PRIMARY)|Before turning into a replica|Server initialized/
  const next = lines.get(node)?.find(({atMs, text}) => atMs >= sinceMs && knows.test(text))
  return next ? next.atMs : Number.POSITIVE_INFINITY
}
