/** What is told of nodes beyond their views, for who judges a cluster thoroughly? Values only; nothing of it is a secret. */
import type {SlotRanges} from '../slots/slot-ranges.ts'
import type {NodeId} from './model.ts'

/** A fact, or why it is not known, in words that fit every node with the same trouble. */
export type Told<T> = {readonly value: T} | {readonly unknown: string}

export function toldValue<T>(told: Told<T> | undefined): T | undefined {
  return told && 'value' in told ? told.value : undefined
}

export interface NodeDetails {
  /** By name; without those that the server does not have. */
  readonly settings: Told<ReadonlyMap<string, string>>
  /** Digest of the code by the library's name; none on servers without functions. */
  readonly libraries: Told<ReadonlyMap<string, string>>
  /** By the user's name: equal for equal rules and passwords within this run, and of no use beyond it. */
  readonly users: Told<ReadonlyMap<string, string>>
}

/** Which of them are asked for. */
export interface DetailsWanted {
  /** Names of settings. */
  readonly settings: readonly string[]
  readonly libraries: boolean
  readonly users: boolean
}

/** Keys of slots that a node neither owns nor imports. */
export interface OrphanKeys {
  readonly slots: SlotRanges
  /** Keys of these slots. */
  readonly keys: number
  /** How many more it has that it does not show: Redis 8.4 and later hide keys of others' slots. */
  readonly hiddenKeys: number
}

export interface ClusterDetails {
  /** Of nodes that were reached. */
  readonly nodes: ReadonlyMap<NodeId, NodeDetails>
  /** Of the nodes that have any; undefined when nobody counted. */
  readonly orphanKeys: Told<ReadonlyMap<NodeId, OrphanKeys>> | undefined
}

export const NO_DETAILS: ClusterDetails = {nodes: new Map(), orphanKeys: undefined}
