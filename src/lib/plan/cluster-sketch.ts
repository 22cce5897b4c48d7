/**
 * What ground does a plan stand on? Who is a member in which role, and who owns which slots: so little that it can be kept
 * with the plan, and enough to say later what has shifted. Pure; plain data: it survives JSON.
 */
import {createHash} from 'node:crypto'
import {formatRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Role, type Topology} from '../topology/model.ts'
import {slotsOf} from '../topology/queries.ts'

export interface SketchedNode {
  readonly id: NodeId
  /** Where it was dialled: to find the cluster again, and for people. No part of the fingerprint: nodes may move. */
  readonly address: string
  readonly role: Role
  /** Replicas only. */
  readonly primaryId?: NodeId | undefined
  /** "0-5460"; empty for who owns none. */
  readonly slots: string
}

export interface ClusterSketch {
  readonly fingerprint: string
  /** Sorted by ID; empty where the nodes are no cluster yet. */
  readonly nodes: readonly SketchedNode[]
}

export const NO_CLUSTER: ClusterSketch = {fingerprint: fingerprintOf([]), nodes: []}

export function sketchCluster(topology: Topology): ClusterSketch {
  const nodes = topology.nodes.map(({id, address, role, primaryId}) => ({
    id,
    address: formatAddress(address),
    role,
    ...(primaryId === undefined ? {} : {primaryId}),
    slots: formatRanges(slotsOf(topology, id)),
  }))
  return {fingerprint: fingerprintOf(nodes), nodes}
}

/** 16 hex digits that are equal for equal members, roles and slots: first half of a SHA-256 over one sorted line each. */
export function fingerprintOf(nodes: readonly SketchedNode[]): string {
  const lines = nodes.map(({id, role, primaryId, slots}) => `${id} ${role} ${primaryId ?? '-'} ${slots}`)
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 16)
}
