/** Which version does a server have, and which of two is the later? */
import type {ClusterNode} from './model.ts'

/** "redis 7.0.15"; undefined for a node that was not asked. */
export function versionOf({reach}: ClusterNode): string | undefined {
  if (reach.kind === 'unreachable') return undefined
  const {flavour, version} = reach.view.serverInfo
  return `${flavour} ${version}`
}

/** "8.6.3" reaches "8.6" and "8"; "9.1.0" does, too. */
export function isVersionReached(version: string, until: string): boolean {
  if (version === '') return false
  const order = compareVersions(version.split('.').slice(0, until.split('.').length).join('.'), until)
  return order >= 0
}

/** Below 0: the first is the earlier. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0))
  const length = Math.max(left?.length ?? 0, right?.length ?? 0)
  for (let at = 0; at < length; at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
