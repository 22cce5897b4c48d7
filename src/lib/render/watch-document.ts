/** What does `watch --json` say of a round? Plain data, times as ISO 8601, amounts in bytes. */
import {formatRanges} from '../slots/slot-ranges.ts'
import type {NodeId} from '../topology/model.ts'
import {cameNow, type Picture, wentNow} from '../watch/picture.ts'
import {type FindingDocument, findingDocument} from './findings-document.ts'
import {type NodeDocument, topologyDocument} from './topology-document.ts'
import {watchRows} from './watch-rows.ts'

export interface WatchDocument {
  readonly time: string
  /** When nodes last told of one another: slots, roles and findings are as of then. Earlier in large clusters. */
  readonly slotsAsOf: string
  /** Why no node answered; what is told of them is what was known before. */
  readonly lost: string | null
  /** Commands that the nodes were sent for this round. */
  readonly commands: number
  readonly nodes: readonly (NodeDocument & {
    readonly opsPerSecond: number | null
    readonly maxMemoryBytes: number | null
    readonly lagSeconds: number | null
    /** When it was last heard of; null while it answers, and when it never did. */
    readonly silentSince: string | null
  })[]
  readonly coveredSlots: number
  readonly moves: readonly {
    readonly from: NodeId
    readonly to: NodeId
    readonly openSlots: number
    readonly atomicSlots: number
    readonly stage: string
    readonly keysLeft: number | null
    readonly slotsMoved: number
    readonly slotsPerSecond: number
    readonly keysPerSecond: number
    readonly etaMs: number | null
  }[]
  readonly atomicMoves: readonly {
    readonly id: string
    readonly slots: string
    readonly from: NodeId
    readonly to: NodeId
    readonly stage: string
  }[]
  /** Another rcluster that is changing the cluster. */
  readonly worker: {
    readonly user: string
    readonly host: string
    readonly pid: number
    readonly since: string
    readonly command: string
  } | null
  readonly findings: readonly (FindingDocument & {readonly since: string; readonly isNew: boolean})[]
  /** Findings of the round before that are no more. */
  readonly gone: readonly {
    readonly id: string
    readonly nodes: readonly string[]
    readonly message: string
    readonly since: string
  }[]
  readonly events: readonly {readonly kind: string; readonly node: NodeId | null; readonly text: string}[]
}

export function watchDocument(picture: Picture): WatchDocument {
  const {round, silent, findings, flows, news} = picture
  const {nodes, coveredSlots} = topologyDocument(round.topology)
  const rows = new Map(watchRows(picture, 'slot', false).map((row) => [row.id, row]))
  const came = new Set(cameNow(picture))
  const {worker} = round
  return {
    time: timeOf(round.atMs),
    slotsAsOf: timeOf(round.slotsAtMs),
    lost: round.lost ?? null,
    commands: round.commands,
    nodes: nodes.map((node) => {
      const reach = round.topology.nodesById.get(node.id)?.reach
      const silence = silent.get(node.id)
      return {
        ...node,
        opsPerSecond: rows.get(node.id)?.ops ?? null,
        maxMemoryBytes: (reach?.kind === 'reached' ? reach.view.serverInfo.maxMemoryBytes : undefined) || null,
        lagSeconds: rows.get(node.id)?.lagSeconds ?? null,
        silentSince: silence ? timeOf(silence.heardMs ?? silence.sinceMs) : null,
      }
    }),
    coveredSlots,
    moves: flows.map((flow) => ({
      from: flow.from,
      to: flow.to,
      openSlots: flow.openSlots,
      atomicSlots: flow.atomicSlots,
      stage: flow.stage,
      keysLeft: flow.keysLeft ?? null,
      slotsMoved: flow.slotsMoved,
      slotsPerSecond: flow.slotsPerSecond,
      keysPerSecond: flow.keysPerSecond,
      etaMs: flow.etaMs ?? null,
    })),
    atomicMoves: round.atomicMoves.map(({ranges, ...move}) => ({...move, slots: formatRanges(ranges)})),
    worker: worker
      ? {user: worker.user, host: worker.host, pid: worker.pid, since: worker.since, command: worker.command}
      : null,
    findings: findings.map((watched) => ({
      ...findingDocument(watched.finding),
      since: timeOf(watched.sinceMs),
      isNew: came.has(watched),
    })),
    gone: wentNow(picture).map(({finding: {id, nodes: about, message}, sinceMs}) => ({
      ...{id, nodes: about, message},
      since: timeOf(sinceMs),
    })),
    events: news.map(({kind, node, text}) => ({kind, node: node ?? null, text})),
  }
}

function timeOf(atMs: number): string {
  return new Date(atMs).toISOString()
}
