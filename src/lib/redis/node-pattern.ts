/** Which nodes does a line of a map or of a credentials file mean? Values only. */
import type {NodeAddress, NodeId} from '../topology/model.ts'

/** Undefined parts match everything. */
export interface NodePattern {
  /** The whole ID or its beginning, in lower case. */
  readonly id?: string | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
}

export function matches({id, host, port}: NodePattern, address: NodeAddress, nodeId?: NodeId): boolean {
  return (
    (id === undefined || (nodeId?.startsWith(id) ?? false)) &&
    (host === undefined || host === address.host) &&
    (port === undefined || port === address.port)
  )
}

/** The most telling first, of equal ones as given: an ID says more than an address, an address more than a host or a port. */
export function sortByWeight<T>(items: readonly T[], patternOf: (item: T) => NodePattern): T[] {
  const weightOf = ({id, host, port}: NodePattern): number =>
    (id === undefined ? 0 : 8) + (host === undefined ? 0 : 4) + (port === undefined ? 0 : 2)
  return [...items].sort((a, b) => weightOf(patternOf(b)) - weightOf(patternOf(a)))
}
