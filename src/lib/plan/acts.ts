/**
 * What is done to one member at a time? Plans that change who leads and who follows are lists of such acts; each is verified
 * before the next begins. Plain data: it survives JSON.
 */
import {type ClusterNode, formatAddress, type NodeId} from '../topology/model.ts'

export interface NamedNode {
  readonly id: NodeId
  readonly address: string
}

export type MemberAct =
  /** An empty node becomes a member, as a primary without slots. */
  | {readonly kind: 'join'; readonly node: NamedNode}
  /** It follows that primary, and is in step. */
  | {readonly kind: 'replicate'; readonly node: NamedNode; readonly primary: NamedNode}
  /** The replica takes over, coordinated: no write is lost; the primary and its other replicas follow it then. */
  | {readonly kind: 'fail-over'; readonly replica: NamedNode; readonly primary: NamedNode}
  /** All forget it, and it is reset where it answers. */
  | {readonly kind: 'remove'; readonly node: NamedNode}

export function named({id, address}: Pick<ClusterNode, 'id' | 'address'>): NamedNode {
  return {id, address: formatAddress(address)}
}
