/**
 * What does a cluster that is watched look like now, and what has changed? The picture before and a new round make the
 * next picture: who is silent since when, how fast slots move, which findings came and went. Pure.
 */
import {compareFindings, type Finding} from '../findings/finding.ts'
import {inspect} from '../findings/inspect.ts'
import {formatRanges} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {type Flow, followFlows} from './flows.ts'
import {type News, newsBetween} from './news.ts'
import type {Round} from './round.ts'

/** Further back than anybody scrolls. */
const MOST_NEWS = 100
const GONE_FOR_MS = 5 * 60_000

export interface WatchedFinding {
  readonly key: string
  readonly finding: Finding
  readonly sinceMs: number
  /** It is what somebody is in the middle of, and will pass. */
  readonly isExpected: boolean
}

export interface GoneFinding {
  readonly key: string
  readonly finding: Finding
  readonly sinceMs: number
  readonly goneMs: number
}

export interface Picture {
  readonly round: Round
  /** Of nodes that did not answer: since when, and that of the last answer, where there was one. */
  readonly silent: ReadonlyMap<NodeId, {readonly sinceMs: number; readonly heardMs: number | undefined}>
  readonly findings: readonly WatchedFinding[]
  /** The latest first. */
  readonly gone: readonly GoneFinding[]
  readonly flows: readonly Flow[]
  /** What happened between the round before and this one. */
  readonly news: readonly News[]
  /** All of it, the latest last. */
  readonly history: readonly News[]
}

export function nextPicture(before: Picture | undefined, round: Round): Picture {
  const {atMs, topology} = round
  const found = round.lost === undefined ? inspect(topology) : (before?.findings.map(({finding}) => finding) ?? [])
  const findings = followFindings(before?.findings ?? [], found, round)
  const keys = new Set(findings.map(({key}) => key))
  const left = (before?.findings ?? []).filter(({key}) => !keys.has(key))
  const gone = [
    ...left.map(({key, finding, sinceMs}) => ({key, finding, sinceMs, goneMs: atMs})),
    ...(before?.gone ?? []).filter(({key, goneMs}) => !keys.has(key) && atMs - goneMs < GONE_FOR_MS),
  ]
  const news = before ? newsBetween(before.round, round) : []
  return {
    round,
    silent: followSilence(before, topology, atMs),
    findings,
    gone,
    flows: followFlows(before?.flows ?? [], before?.round, round),
    news,
    history: [...(before?.history ?? []), ...news].slice(-MOST_NEWS),
  }
}

/** What came with this round. */
export function cameNow(picture: Picture): readonly WatchedFinding[] {
  return picture.findings.filter(({sinceMs}) => sinceMs === picture.round.atMs)
}

/** What was there in the round before. */
export function wentNow(picture: Picture): readonly GoneFinding[] {
  return picture.gone.filter(({goneMs}) => goneMs === picture.round.atMs)
}

/** In the order of `found`. */
function followFindings(
  before: readonly WatchedFinding[],
  found: readonly Finding[],
  {atMs, worker, atomicMoves}: Round,
): WatchedFinding[] {
  const known = new Map(before.map((one) => [one.key, one]))
  const counts = new Map<string, number>()
  return [...found].sort(compareFindings).map((finding) => {
    const name = nameOf(finding)
    const count = counts.get(name) ?? 0
    counts.set(name, count + 1)
    const key = count === 0 ? name : `${name} #${count + 1}`
    const sinceMs = known.get(key)?.sinceMs ?? atMs
    const isMoving = worker !== undefined || atomicMoves.length > 0
    const isPassing = PASSING.has(finding.id) && atMs - sinceMs < PASSING_MS
    return {key, finding, sinceMs, isExpected: isMoving && (finding.id === 'open-slot' || isPassing)}
  })
}

/** While slots move, nodes that are asked one after the other tell of different moments. */
const PASSING: ReadonlySet<Finding['id']> = new Set<Finding['id']>(['disagreement', 'stale-mark'])
const PASSING_MS = 10_000

/** Of which there is one in a cluster, whomever it is about by now. */
const ONE_FOR_ALL: ReadonlySet<Finding['id']> = new Set<Finding['id']>([
  'cluster-down',
  'mixed-versions',
  'moved-node',
  'merged-clusters',
])

/** Equal for what is the same trouble at two times: its words, slots and counts may have changed. */
function nameOf({id, nodes, slots}: Finding): string {
  if (ONE_FOR_ALL.has(id)) return id
  return `${id} ${nodes.length > 0 ? nodes.join(',') : formatRanges(slots)}`
}

function followSilence(before: Picture | undefined, topology: Topology, atMs: number): Picture['silent'] {
  const silent = new Map<NodeId, {sinceMs: number; heardMs: number | undefined}>()
  for (const {id, reach} of topology.nodes) {
    if (reach.kind === 'reached') continue
    const known = before?.silent.get(id)
    const hasAnswered = before?.round.topology.nodesById.get(id)?.reach.kind === 'reached'
    silent.set(id, known ?? {sinceMs: atMs, heardMs: hasAnswered ? before?.round.atMs : undefined})
  }
  return silent
}
