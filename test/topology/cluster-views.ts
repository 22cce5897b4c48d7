/**
 * What would the nodes of a cluster report? Builds views from a few words a node, by way of CLUSTER NODES text.
 * A node's name is one or two hex digits; its ID repeats them, so IDs sort as names do.
 */
import {parseAddress} from '../../src/lib/cli/node-argument.ts'
import {mergeViews} from '../../src/lib/topology/merge-views.ts'
import type {NodeId, NodeView, ServerInfo, Topology} from '../../src/lib/topology/model.ts'
import {parseServerInfo} from '../../src/lib/topology/parse-info.ts'
import {parseNodes} from '../../src/lib/topology/parse-nodes.ts'

/** As one node sees one node. */
export interface Looks {
  readonly slots?: string
  readonly epoch?: number
  readonly replicaOf?: string
  /** Wire words: "fail?", "fail", "noaddr", "handshake". */
  readonly flags?: string
  readonly host?: string
  readonly hostname?: string
  /** "connected" unless said otherwise. */
  readonly link?: 'disconnected'
  /** Slot to name. Only told by the node itself. */
  readonly migrating?: Readonly<Record<number, string>>
  readonly importing?: Readonly<Record<number, string>>
  readonly isAbsent?: boolean
}

export interface NodeSpec extends Looks {
  /** This node's own opinions about others (or itself), where they differ from the truth. */
  readonly sees?: Readonly<Record<string, Looks>>
  readonly state?: 'ok' | 'fail'
  readonly info?: Partial<ServerInfo>
  /** Where it listens, as it tells us. */
  readonly internal?: string
  /** Why it was not reached. */
  readonly unreachable?: string
  /** Its kind; 'refused' without. */
  readonly failure?: string
  readonly advice?: readonly string[]
}

export type ClusterSpec = Readonly<Record<string, NodeSpec>>

export function idOf(name: string): NodeId {
  return name.repeat(40 / name.length)
}

export function viewsOf(spec: ClusterSpec): NodeView[] {
  return Object.entries(spec)
    .filter(([, node]) => node.unreachable === undefined)
    .map(([name, node]) => ({
      id: idOf(name),
      dialled: {host: '127.0.0.1', port: portOf(spec, name)},
      internal: node.internal === undefined ? undefined : parseAddress(node.internal),
      entries: parseNodes(nodesText(spec, name)),
      clusterInfo: {
        state: node.state ?? 'ok',
        knownNodes: Object.keys(spec).length,
        currentEpoch: 9,
        myEpoch: node.epoch ?? 0,
      },
      serverInfo: {
        ...parseServerInfo('redis_version:7.0.15\ncluster_enabled:1'),
        ...(node.replicaOf === undefined ? {} : {isPrimaryLinkUp: true}),
        ...node.info,
      },
    }))
}

/** The first node is the seed. */
export function topologyOf(spec: ClusterSpec, order: (views: NodeView[]) => NodeView[] = (views) => views): Topology {
  const unreachable = new Map(
    Object.entries(spec).flatMap(([name, {unreachable: message, failure = 'refused', advice}]) =>
      message === undefined ? [] : [[idOf(name), {failure, message, ...(advice ? {advice} : {})}] as const],
    ),
  )
  return mergeViews({seedId: idOf(Object.keys(spec)[0]!), views: order(viewsOf(spec)), unreachable})
}

function portOf(spec: ClusterSpec, name: string): number {
  return 7000 + Object.keys(spec).indexOf(name)
}

function nodesText(spec: ClusterSpec, viewer: string): string {
  return Object.entries(spec)
    .map(([name, node]) => ({name, looks: {...node, ...spec[viewer]?.sees?.[name]}}))
    .filter(({looks}) => !looks.isAbsent)
    .map(({name, looks}) => {
      const isMyself = name === viewer
      const port = portOf(spec, name)
      const address = looks.flags?.includes('noaddr') ? ':0@0' : `${looks.host ?? '127.0.0.1'}:${port}@${port + 10_000}`
      const flags = [isMyself ? 'myself' : '', looks.replicaOf === undefined ? 'master' : 'slave', looks.flags ?? '']
      const marks = (marked: Looks['migrating'] = {}, arrow: string) =>
        isMyself ? Object.entries(marked).map(([slot, peer]) => `[${slot}-${arrow}-${idOf(peer)}]`) : []
      return [
        idOf(name),
        looks.hostname === undefined ? address : `${address},${looks.hostname}`,
        flags.filter((flag) => flag !== '').join(','),
        looks.replicaOf === undefined ? '-' : idOf(looks.replicaOf),
        '0 1795407217040',
        looks.epoch ?? 0,
        looks.link ?? 'connected',
        ...(looks.slots ?? '').split(',').filter((range) => range !== ''),
        ...marks(looks.migrating, '>'),
        ...marks(looks.importing, '<'),
      ].join(' ')
    })
    .join('\n')
}

/** Three primaries with a replica each, all well. */
export const HEALTHY = {
  a: {slots: '0-5460', epoch: 1},
  b: {slots: '5461-10922', epoch: 2},
  c: {slots: '10923-16383', epoch: 3},
  a1: {replicaOf: 'a', epoch: 1},
  b1: {replicaOf: 'b', epoch: 2},
  c1: {replicaOf: 'c', epoch: 3},
} as const satisfies ClusterSpec
