/** How many keys of one slot does a node hold? */
import type {NodeId} from './model.ts'

export interface SlotCount {
  readonly node: NodeId
  /** In all databases; undefined when it could not be asked, and then `problem` says why. */
  readonly keys: number | undefined
  readonly problem: string | undefined
}
