/** Which primary gets the next replica? Pure. */
import type {ClusterNode, Topology} from '../topology/model.ts'
import {replicasOf} from '../topology/queries.ts'
import {costOf, type PlaceableNode, placeable} from './placement.ts'

export interface Home {
  readonly primary: PlaceableNode
  readonly replicas: PlaceableNode[]
}

/** In the order of the IDs. `isCounted`: of its replicas; by default all. */
export function homesOf(
  topology: Topology,
  primaries: readonly ClusterNode[],
  isCounted: (replica: ClusterNode) => boolean = () => true,
): Home[] {
  return [...primaries]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((primary) => ({
      primary: placeable(primary),
      replicas: replicasOf(topology, primary.id).filter(isCounted).map(placeable),
    }))
}

/**
 * The one with the fewest replicas; among equals the one whose members share the fewest hosts and zones with the new one,
 * then the smallest ID.
 */
export function quietestHome(homes: readonly Home[], replica: PlaceableNode): Home | undefined {
  const ranked = homes.map((home) => ({
    home,
    cost: costOf(home.primary, [...home.replicas, replica]) - costOf(home.primary, home.replicas),
  }))
  ranked.sort(
    (a, b) =>
      a.home.replicas.length - b.home.replicas.length ||
      a.cost - b.cost ||
      (a.home.primary.id < b.home.primary.id ? -1 : 1),
  )
  return ranked[0]?.home
}
