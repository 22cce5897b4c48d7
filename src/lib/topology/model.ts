/**
 * What do we know about a cluster? The words of the product live in these doc comments.
 * Values only: frozen by who builds them, never changed afterwards.
 */
import type {SlotRanges} from '../slots/slot-ranges.ts'

/** A node's own name for itself: 40 lower-case hex digits. */
export type NodeId = string

/** Where clients reach a server. IPv6 hosts are kept without brackets; the host of a Unix socket is its path, its port 0. */
export interface NodeAddress {
  readonly host: string
  readonly port: number
}

export function isSocket({host}: NodeAddress): boolean {
  return host.startsWith('/')
}

/** Is there nothing to dial? */
export function isPlaceless(address: NodeAddress): boolean {
  return address.port === 0 && !isSocket(address)
}

/** "host:port", an IPv6 host in brackets; the path of a Unix socket. */
export function formatAddress({host, port}: NodeAddress): string {
  if (host.startsWith('/')) return host
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

export type Role = 'primary' | 'replica'

/**
 * suspected: this node cannot reach it (wire: `fail?`). failed: a majority of the primaries agreed that it is gone.
 * handshake: met, not yet known. noaddr: known by ID only.
 */
export type NodeFlag = 'suspected' | 'failed' | 'handshake' | 'noaddr' | 'nofailover'

/** A slot on its way out (`peer` is the target) or in (`peer` is the source), as the reporting node marks it. */
export interface SlotMark {
  readonly slot: number
  readonly peer: NodeId
}

/** One line of CLUSTER NODES: what the reporting node believes about one node. */
export interface NodeEntry {
  readonly id: NodeId
  /** Announced address. The host is '' when the reporting node does not know it (a fresh node about itself). */
  readonly announced: NodeAddress
  readonly busPort: number
  readonly hostname: string | undefined
  readonly isMyself: boolean
  readonly role: Role
  readonly flags: ReadonlySet<NodeFlag>
  /** Set for replicas that know their primary. */
  readonly primaryId: NodeId | undefined
  /** Version of this primary's slot claim; a replica shows its primary's. */
  readonly configEpoch: number
  readonly isLinked: boolean
  readonly ranges: SlotRanges
  /** Slot marks are only reported by a node about itself. */
  readonly migrating: readonly SlotMark[]
  readonly importing: readonly SlotMark[]
}

/** CLUSTER INFO. */
export interface ClusterInfo {
  /** Whether this node serves queries. */
  readonly state: 'ok' | 'fail'
  readonly knownNodes: number
  readonly currentEpoch: number
  readonly myEpoch: number
}

/** INFO, as far as we use it. Absent fields are undefined: a user without +info still gets a topology. */
export interface ServerInfo {
  readonly flavour: 'redis' | 'valkey'
  /** "7.0.15"; for Valkey its own version, not the Redis version that it claims. */
  readonly version: string
  /** New with every start of the server. */
  readonly runId?: string | undefined
  /** Whole seconds since that start. */
  readonly uptimeSeconds?: number | undefined
  readonly isClusterEnabled: boolean
  readonly isLoading: boolean
  readonly usedMemoryBytes: number | undefined
  /** 0: no limit. */
  readonly maxMemoryBytes: number | undefined
  readonly maxMemoryPolicy: string | undefined
  /** Keys per database number, all databases with keys. */
  readonly keysByDatabase: ReadonlyMap<number, number>
  readonly replicationOffset: number | undefined
  /** Replicas only: is the link to the primary up? */
  readonly isPrimaryLinkUp: boolean | undefined
  /** Replicas only: how many seconds since the last byte from the primary. */
  readonly primaryLastIoSeconds: number | undefined
  /** Replicas only, while the link is down: for how long; undefined when it was never up since the replica started. */
  readonly primaryLinkDownSeconds: number | undefined
  readonly availabilityZone: string | undefined
  readonly opsPerSecond: number | undefined
  /** What the server used before it held anything. */
  readonly startupMemoryBytes?: number | undefined
  /** Part of `usedMemoryBytes` that does not count toward `maxMemoryBytes`: buffers for replicas. */
  readonly uncountedMemoryBytes?: number | undefined
  /** Primaries: the replicas that hold a connection to it. */
  readonly attachedReplicas?: readonly AttachedReplica[] | undefined
  /** Only with `min-replicas-to-write`: how many replicas count toward it. */
  readonly goodReplicas?: number | undefined
  /** Names of the modules, built-in ones too, sorted. */
  readonly modules?: readonly string[] | undefined
  /** The modules' own versions, by name. */
  readonly moduleVersions?: ReadonlyMap<string, string> | undefined
  /** What failed the last time that the node tried to write its data to disk. */
  readonly persistenceFaults?: readonly PersistenceFault[] | undefined
}

export type PersistenceFault = 'snapshot' | 'log write' | 'log rewrite'

/** A replica as its primary tells it. */
export interface AttachedReplica {
  readonly address: NodeAddress
  readonly isOnline: boolean
  /** Seconds since it last said how far it is; it does so every second. */
  readonly lagSeconds: number | undefined
}

/** One node's own report: everything that one look at it brings. */
export interface NodeView {
  readonly id: NodeId
  /** Where we reached it. */
  readonly dialled: NodeAddress
  /** To which IP that name led; undefined where it is one. */
  readonly resolved?: NodeAddress | undefined
  /** By which address of its own, where it tells. */
  readonly internal?: NodeAddress | undefined
  readonly entries: readonly NodeEntry[]
  readonly clusterInfo: ClusterInfo
  readonly serverInfo: ServerInfo
}

/** The node reported, or why it did not. */
export type Reach =
  | {readonly kind: 'reached'; readonly view: NodeView}
  | ({readonly kind: 'unreachable'} & WhyUnreachable)

export interface WhyUnreachable {
  readonly failure: string
  readonly message: string
  /** What may help, where the failure tells. */
  readonly advice?: readonly string[]
}

/** One node of the merged picture. Facts are its own when it was reached, else what the others say. */
export interface ClusterNode {
  readonly id: NodeId
  readonly announced: NodeAddress
  /** The address to show and to dial. */
  readonly address: NodeAddress
  readonly busPort: number
  readonly hostname: string | undefined
  /** Where nodes that are linked to it know it; undefined when none is. */
  readonly linkedAt: NodeAddress | undefined
  readonly role: Role
  readonly primaryId: NodeId | undefined
  readonly configEpoch: number
  /** Union of what all reached nodes say about it. */
  readonly flags: ReadonlySet<NodeFlag>
  readonly ranges: SlotRanges
  readonly reach: Reach
  /** As the operator labelled it; see `zoneOf`. */
  readonly zone?: string | undefined
}

/** A primary and its replicas. Replicas whose primary is unknown have no shard. */
export interface Shard {
  readonly primary: ClusterNode
  readonly replicas: readonly ClusterNode[]
}

/** A slot with an importing or migrating mark anywhere. Open slots are moves that did not end. */
export interface OpenSlot {
  readonly slot: number
  readonly owner: NodeId | undefined
  /** Nodes that mark it migrating, and to whom. */
  readonly migrating: readonly {readonly node: NodeId; readonly to: NodeId}[]
  /** Nodes that mark it importing, and from whom. */
  readonly importing: readonly {readonly node: NodeId; readonly from: NodeId}[]
}

/**
 * A mark that a replica has and its primary, which was reached, has not: Valkey's replicas keep the marks that were in the
 * snapshot of a full synchronisation during which the slot was closed. It opens the slot once the replica takes over.
 */
export interface StaleMark {
  readonly slot: number
  readonly replica: NodeId
  readonly primary: NodeId
}

/** Slots on whose owner the reached nodes differ, with every answer given. `owner: undefined` = "nobody". */
export interface Disagreement {
  readonly ranges: SlotRanges
  readonly opinions: readonly {
    readonly owner: NodeId | undefined
    /** Config epoch at which these nodes hold the owner's claim; the highest when they differ. */
    readonly configEpoch: number | undefined
    readonly saidBy: readonly NodeId[]
  }[]
}

/** A node ID that some reached nodes know and others do not. */
export interface MembershipGap {
  readonly id: NodeId
  readonly knownBy: readonly NodeId[]
  readonly unknownTo: readonly NodeId[]
}

/**
 * An address that some reached nodes have met, where nobody has introduced itself yet. Until then its ID is a random
 * stand-in that changes with every try, so it is not a member and not among `Topology.nodes`.
 */
export interface Handshake {
  readonly address: NodeAddress
  readonly seenBy: readonly NodeId[]
}

/** Our merged, frozen picture of the cluster. */
export interface Topology {
  /** The node through which the cluster was found. */
  readonly seedId: NodeId
  /** All nodes, sorted by ID. */
  readonly nodes: readonly ClusterNode[]
  readonly nodesById: ReadonlyMap<NodeId, ClusterNode>
  /** Sorted by the primary's first slot, slotless shards last by ID. */
  readonly shards: readonly Shard[]
  /** owners[slot]: who settledly owns it; undefined when uncovered. Length 16384. */
  readonly owners: readonly (NodeId | undefined)[]
  /** Slots that no node claims, or whose claimant cannot be reached. */
  readonly uncovered: SlotRanges
  readonly openSlots: readonly OpenSlot[]
  /** By slot, then by the replica's ID. */
  readonly staleMarks: readonly StaleMark[]
  readonly disagreements: readonly Disagreement[]
  readonly membershipGaps: readonly MembershipGap[]
  /** Sorted by address. */
  readonly handshakes: readonly Handshake[]
}
