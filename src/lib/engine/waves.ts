/**
 * Which pairs of nodes may move slots side by side? Never two of which one takes slots from a node that is given slots by
 * the other: a source that takes a slot gets a higher config epoch while it still claims the slots that it is about to
 * give, its next packet takes those back from their new owner, and that deletes their keys. Pure.
 */
import type {NodeId} from '../topology/model.ts'

interface Ends {
  readonly from: NodeId
  readonly to: NodeId
}

/** In each wave a node is a source or a target, not both. Order is kept; one wave unless it takes more. */
export function wavesOf<T>(pairs: readonly T[], endsOf: (pair: T) => Ends): T[][] {
  const waves: {pairs: T[]; sources: Set<NodeId>; targets: Set<NodeId>}[] = []
  for (const pair of pairs) {
    const {from, to} = endsOf(pair)
    let wave = waves.find(({sources, targets}) => !targets.has(from) && !sources.has(to))
    if (!wave) {
      wave = {pairs: [], sources: new Set(), targets: new Set()}
      waves.push(wave)
    }
    wave.pairs.push(pair)
    wave.sources.add(from)
    wave.targets.add(to)
  }
  return waves.map((wave) => wave.pairs)
}
