/**
 * Which replicas take over so that no zone, and within the zones no host, leads more shards than others? Pure.
 * As many failovers as needed: they go along paths from a place that leads many shards to one that leads two fewer or less,
 * which finds the most even spread that the replicas allow.
 */
import {type MemberAct, named} from './acts.ts'
import type {PlaceableNode} from './placement.ts'

/** A shard while it is planned. Replicas that do not answer are no part of it. */
export interface PlannedShard {
  primary: PlaceableNode
  readonly replicas: PlaceableNode[]
}

type PlaceOf = (node: PlaceableNode) => string | undefined

const zoneOf: PlaceOf = ({zone}) => zone
const hostOf: PlaceOf = ({host, address}) => host ?? address.host

/** Changes `shards`. */
export function planTakeovers(shards: readonly PlannedShard[]): MemberAct[] {
  return [
    ...spread(shards, zoneOf, () => true),
    ...spread(shards, hostOf, (one, other) => zoneOf(one) === zoneOf(other)),
  ]
}

interface Edge {
  readonly shard: PlannedShard
  readonly heir: PlaceableNode
}

function spread(
  shards: readonly PlannedShard[],
  placeOf: PlaceOf,
  mayFollow: (primary: PlaceableNode, heir: PlaceableNode) => boolean,
): MemberAct[] {
  const acts: MemberAct[] = []
  for (;;) {
    const path = findPath(shards, placeOf, mayFollow)
    if (!path) return acts
    // From the end, so that no place leads more on the way than it did before.
    for (const {shard, heir} of path.reverse()) {
      acts.push({kind: 'fail-over', replica: named(heir), primary: named(shard.primary)})
      shard.replicas.splice(shard.replicas.indexOf(heir), 1, shard.primary)
      shard.primary = heir
    }
  }
}

function findPath(
  shards: readonly PlannedShard[],
  placeOf: PlaceOf,
  mayFollow: (primary: PlaceableNode, heir: PlaceableNode) => boolean,
): Edge[] | undefined {
  const places = new Set(
    shards.flatMap(({primary, replicas}) => [primary, ...replicas].flatMap((node) => placeOf(node) ?? [])),
  )
  const led = new Map([...places].sort().map((place) => [place, 0]))
  for (const {primary} of shards) {
    const place = placeOf(primary)
    if (place !== undefined) led.set(place, (led.get(place) ?? 0) + 1)
  }
  const fullestFirst = [...led].sort(([, a], [, b]) => b - a)
  const least = fullestFirst.at(-1)?.[1] ?? 0
  for (const [start, most] of fullestFirst) {
    if (most - least < 2) break
    const ways = new Map<string, readonly Edge[]>([[start, []]])
    for (const [place, way] of ways) {
      if ((led.get(place) ?? 0) <= most - 2) return [...way]
      for (const shard of shards) {
        if (placeOf(shard.primary) !== place || way.some((edge) => edge.shard === shard)) continue
        for (const heir of [...shard.replicas].sort((a, b) => (a.id < b.id ? -1 : 1))) {
          const next = placeOf(heir)
          if (next === undefined || ways.has(next) || !mayFollow(shard.primary, heir)) continue
          ways.set(next, [...way, {shard, heir}])
        }
      }
    }
  }
  return undefined
}
