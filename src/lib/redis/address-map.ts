/**
 * Which address is dialled for a node that announces another one? Behind Docker's published ports, tunnels and the like
 * the announced one leads nowhere. Values only.
 */
import type {NodeAddress, NodeId} from '../topology/model.ts'
import {matches, type NodePattern, sortByWeight} from './node-pattern.ts'

/** One line of a map. Undefined parts of what is dialled are kept. */
export interface AddressRule {
  readonly announced: NodePattern
  readonly dialled: {readonly host?: string | undefined; readonly port?: number | undefined}
}

export class AddressMap {
  readonly #rules: readonly AddressRule[]

  /** The most telling rule that fits wins, of equal ones the first. */
  constructor(rules: readonly AddressRule[] = []) {
    this.#rules = sortByWeight(rules, ({announced}) => announced)
  }

  /**
   * undefined: no rule says otherwise. Without an ID the address is one that somebody named, not one that a node
   * announces: then only rules for that very host count.
   */
  dialledFor(address: NodeAddress, id?: NodeId): NodeAddress | undefined {
    const rule = this.#rules.find(
      ({announced}) => (announced.host !== undefined || id !== undefined) && matches(announced, address, id),
    )
    const {host, port} = address
    return rule && {host: rule.dialled.host ?? host, port: rule.dialled.port ?? port}
  }
}

/** Addresses that nodes were reached at before, by their IDs: to be tried first, and given up when somebody else answers. */
export type KnownAddresses = ReadonlyMap<NodeId, NodeAddress>
