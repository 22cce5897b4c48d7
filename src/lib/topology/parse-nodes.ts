/**
 * What does CLUSTER NODES say?
 * The one reader of that text, and besides parse-info.ts the one place that knows the wire words master and slave.
 * Format: https://redis.io/docs/latest/commands/cluster-nodes/ ("Serialization format").
 */

import {isSlot} from '../slots/slot.ts'
import {parseRanges} from '../slots/slot-ranges.ts'
import {canonicalHost} from './canonical-host.ts'
import type {NodeAddress, NodeEntry, NodeFlag, NodeId, SlotMark} from './model.ts'

// A thousand nodes tell nearly the same thousand lines. What they tell alike is parsed once and shared, which saves
// seconds and hundreds of megabytes, and lets mergeViews compare by identity. Bounded, as `watch` runs for days.
const CACHE_LIMIT = 8192
/** The servers' own advice is a thousand; every slot can have one primary. */
const MOST_NODES = 16_384
const entriesByLine = new Map<string, NodeEntry>()

/**
 * One entry a line, in the text's order. Equal lines may give the very same (frozen) entry.
 * @throws Error naming the first line that is not one of CLUSTER NODES, cleaned of control characters.
 */
export function parseNodes(text: string): readonly NodeEntry[] {
  const entries: NodeEntry[] = []
  for (const line of text.split('\n')) {
    const trimmed = line.trim()
    if (trimmed !== '') entries.push(entryOf(trimmed))
    // Each is dialled: a server that makes up members would keep us at it for ever.
    if (entries.length > MOST_NODES) throw new Error(`more than ${MOST_NODES} nodes are in no cluster`)
  }
  return entries
}

function entryOf(line: string): NodeEntry {
  const lasting = withoutTimes(line)
  const known = entriesByLine.get(lasting)
  if (known) return known
  const entry = parseLine(lasting, line)
  if (entriesByLine.size >= CACHE_LIMIT) entriesByLine.clear()
  entriesByLine.set(lasting, entry)
  return entry
}

/** The line less its fifth and sixth word (ping sent, pong received): only these differ from look to look. */
function withoutTimes(line: string): string {
  let start = -1
  for (let words = 0; words < 4; words++) {
    start = line.indexOf(' ', start + 1)
    if (start === -1) throw badLine(line, 'has too few words')
  }
  const end = line.indexOf(' ', line.indexOf(' ', start + 1) + 1)
  if (end <= start) throw badLine(line, 'has too few words')
  return line.slice(0, start) + line.slice(end)
}

function parseLine(lasting: string, line: string): NodeEntry {
  // Whatever passes here is printed later: a name that moves the cursor must not get in.
  const [, beforeHost = '', afterHost = ''] = /^(\S* )\S*?(:\d{1,5}(?:[@, ].*)?)$/s.exec(lasting) ?? [
    undefined,
    lasting,
  ]
  if (/[\x00-\x1f\x7f-\x9f]/.test(beforeHost + afterHost)) throw badLine(line, 'holds control characters')
  const [id = '', endpoint = '', flagText = '', primary = '', epoch = '', link = '', ...slotWords] = lasting.split(' ')
  if (!isId(id)) throw badLine(line, 'has no node ID')
  if (primary !== '-' && !isId(primary)) throw badLine(line, `has a bad primary "${primary}"`)
  if (!/^\d{1,20}$/.test(epoch)) throw badLine(line, `has a bad config epoch "${epoch}"`)
  if (link !== 'connected' && link !== 'disconnected') throw badLine(line, `has a bad link state "${link}"`)

  const words = new Set(flagText.split(','))
  const rangeWords: string[] = []
  const migrating: SlotMark[] = []
  const importing: SlotMark[] = []
  for (const word of slotWords) {
    if (!word.startsWith('[')) {
      if (word !== '') rangeWords.push(word)
      continue
    }
    const mark = /^\[(\d{1,5})-([<>])-([0-9a-f]{40})\]$/.exec(word)
    if (!mark || !isSlot(Number(mark[1]))) throw badLine(line, `has a bad slot mark "${word}"`)
    ;(mark[2] === '>' ? migrating : importing).push({slot: Number(mark[1]), peer: mark[3]!})
  }

  return Object.freeze({
    id,
    ...parseEndpoint(endpoint, line),
    isMyself: words.has('myself'),
    // A handshake has neither word. It is no member yet, so its role is never looked at.
    role: words.has('slave') ? 'replica' : 'primary',
    flags: flagsOf(words),
    primaryId: primary === '-' ? undefined : primary,
    configEpoch: Number(epoch),
    isLinked: link === 'connected',
    ranges: rangesOf(rangeWords, line),
    migrating,
    importing,
  } satisfies NodeEntry)
}

function isId(word: string): word is NodeId {
  return /^[0-9a-f]{40}$/.test(word)
}

const FLAGS: readonly (readonly [wire: string, flag: NodeFlag])[] = [
  ['fail?', 'suspected'],
  ['fail', 'failed'],
  ['handshake', 'handshake'],
  ['noaddr', 'noaddr'],
  ['nofailover', 'nofailover'],
]

/** Flags that a later server may add are passed over. */
function flagsOf(words: ReadonlySet<string>): ReadonlySet<NodeFlag> {
  return new Set(FLAGS.filter(([wire]) => words.has(wire)).map(([, flag]) => flag))
}

/**
 * ip:port@cport[,hostname[,key=value…]]. The ip may be empty, or an IPv6 address without brackets: hence the last colon.
 * Before Redis 4 there was no @cport; the bus port was the port + 10000.
 */
function parseEndpoint(
  endpoint: string,
  line: string,
): {announced: NodeAddress; busPort: number; hostname: string | undefined} {
  const [address = '', ...more] = endpoint.split(',')
  const match = /^(.*):(\d{1,5})(?:@(\d{1,5}))?$/.exec(address)
  const port = Number(match?.[2])
  const busPort = match?.[3] === undefined ? (port === 0 ? 0 : port + 10_000) : Number(match[3])
  if (!match || port > 65_535 || busPort > 75_535) throw badLine(line, `has a bad address "${endpoint}"`)
  const told = match[1]!.replace(/^\[(.*)\]$/, '$1')
  // Servers of two families that meet were seen to tell an ID there, and what follows it in memory, until they know.
  const host = isHost(told) ? canonicalHost(told) : ''
  // Proxies and Redis before 7 may leave the hostname out and go on with key=value at once.
  const named = more[0] === undefined || more[0] === '' || more[0].includes('=') ? undefined : more[0]
  // No server takes such a one; the cluster is looked after without it.
  const hostname = named === undefined || isHost(named) ? named : undefined
  return {announced: {host, port}, busPort, hostname}
}

/**
 * Empty where the node does not know it. Servers take what they are configured with for a host; here it is dialled, and
 * stands in commands that people copy, so it must be neither an option nor anything else to a shell.
 */
export function isHost(text: string): boolean {
  return text === '' || text === '?' || /^[\p{L}\p{N}_:][\p{L}\p{N}._:%-]{0,252}$/u.test(text)
}

function rangesOf(words: readonly string[], line: string): NodeEntry['ranges'] {
  try {
    return parseRanges(words.join(' '))
  } catch (cause) {
    throw badLine(line, `has bad slots: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

function badLine(line: string, complaint: string): Error {
  const clean = (text: string) =>
    text.replace(/[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, '?')
  const shown = line.length > 200 ? `${line.slice(0, 200)}…` : line
  return new Error(`this line of CLUSTER NODES ${clean(complaint)}: "${clean(shown)}"`)
}
