/** Which databases of a source are copied, and to which of the cluster? Pure. */
import {UsageError} from '../errors.ts'

export interface ImportRoute {
  readonly from: number
  readonly to: number
  /** As the source counted, expired ones that it has not removed yet included. */
  readonly keys: number
}

export interface ImportPlan {
  /** By source database. */
  readonly routes: readonly ImportRoute[]
  /** Databases with keys that are not copied. */
  readonly left: readonly {readonly database: number; readonly keys: number}[]
  readonly warnings: readonly string[]
}

export interface ImportWishes {
  /** Only these. */
  readonly databases: readonly number[] | undefined
  /** Only these, from and to. */
  readonly map: ReadonlyMap<number, number> | undefined
  /** All to this one. */
  readonly into: number | undefined
  readonly conflicts: 'fail' | 'skip' | 'replace'
}

/**
 * By default every database with keys is taken: to the one of the same number where the cluster has it, else to 0.
 * @throws UsageError for databases that the cluster does not have, and where databases that become one would overwrite
 *   each other's keys without anybody having said so.
 */
export function planImport(
  keysByDatabase: ReadonlyMap<number, number>,
  targetDatabases: number,
  {databases, map, into, conflicts}: ImportWishes,
): ImportPlan {
  const isTaken = (database: number): boolean => (databases?.includes(database) ?? true) && (map?.has(database) ?? true)
  const all = [...keysByDatabase].filter(([, keys]) => keys > 0).sort(([a], [b]) => a - b)
  const routes = all
    .filter(([from]) => isTaken(from))
    .map(([from, keys]) => ({from, to: map?.get(from) ?? into ?? (from < targetDatabases ? from : 0), keys}))
  for (const to of new Set([...(map?.values() ?? []), ...(into === undefined ? [] : [into])])) {
    if (to >= targetDatabases) throw noSuchDatabase(to, targetDatabases)
  }
  const left = all.filter(([from]) => !isTaken(from)).map(([database, keys]) => ({database, keys}))
  const merged = mergedRoutes(routes)
  if (merged.length > 0 && conflicts === 'replace' && map === undefined && into === undefined) {
    throw new UsageError(
      `databases ${merged[0]?.map(({from}) => from).join(' and ')} would become one, and --replace would let them overwrite each other's keys`,
      {
        suggestions: [
          `If that is wanted, the later overwriting the earlier: --into-db ${merged[0]?.[0]?.to}`,
          'Otherwise take them one by one with --db, or leave --replace out',
        ],
      },
    )
  }
  return {routes, left, warnings: merged.map((some) => warnOfMerge(some, conflicts))}
}

function mergedRoutes(routes: readonly ImportRoute[]): ImportRoute[][] {
  const targets = [...new Set(routes.map(({to}) => to))]
  return targets.map((to) => routes.filter((route) => route.to === to)).filter((some) => some.length > 1)
}

function warnOfMerge(routes: readonly ImportRoute[], conflicts: ImportWishes['conflicts']): string {
  const names = routes.map(({from}) => from)
  const fate = {
    fail: 'the first is copied, and the others are named as failed',
    skip: 'the first is copied, and the others are skipped',
    replace: 'the last is copied over the others',
  }[conflicts]
  return `Databases ${names.slice(0, -1).join(', ')} and ${names.at(-1)} become database ${routes[0]?.to}: of keys with the same name ${fate}.`
}

function noSuchDatabase(database: number, count: number): UsageError {
  return new UsageError(
    count === 1
      ? `the cluster has only database 0, and not ${database}`
      : `the cluster has databases 0 to ${count - 1}, and not ${database}`,
    count === 1 ? {suggestions: ['Valkey 9 and later may have more: cluster-databases in their configuration']} : {},
  )
}
