/** Between which nodes does a plan move what, and which way? Pure. */
import type {MovePlan, SlotMove} from '../plan/plan.ts'
import type {NodeId} from '../topology/model.ts'
import {movesByPair} from './groups.ts'

export interface PlannedPair {
  readonly from: NodeId
  readonly to: NodeId
  /** By the servers themselves; else key by key. */
  readonly isAtomic: boolean
  readonly moves: readonly SlotMove[]
}

export function pairsOf({moves, movers}: MovePlan): PlannedPair[] {
  const atomic = new Set(movers.filter(({mover}) => mover === 'atomic').map(({from, to}) => `${from} ${to}`))
  return movesByPair(moves).flatMap((own) => {
    const [first] = own
    if (!first) return []
    const {from, to} = first
    return [{from, to, isAtomic: atomic.has(`${from} ${to}`), moves: own}]
  })
}

/** Every node at either end, once. */
export function endsOf(pairs: readonly PlannedPair[]): NodeId[] {
  return [...new Set(pairs.flatMap(({from, to}) => [from, to]))]
}
