/** What has a run of moves done so far, and what is left? */
import type {SlotMove} from '../plan/plan.ts'

export class MoveLedger {
  readonly moves: readonly SlotMove[]
  /** Slots that are at their target. */
  readonly done = new Set<number>()
  /** Slots of which this run, or one before it, may have left a mark. */
  readonly opened = new Set<number>()
  keysMoved = 0

  constructor(moves: readonly SlotMove[]) {
    this.moves = moves
  }

  left(): SlotMove[] {
    return this.moves.filter(({slot}) => !this.done.has(slot))
  }
}
