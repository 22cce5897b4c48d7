/** As whom does one log in at a node? The same everywhere, or as a credentials file says. */
import type {PeerLogin} from '../engine/cluster-port.ts'
import type {NodeAddress} from '../topology/model.ts'
import type {Argument} from './encode-command.ts'
import {matches, type NodePattern, sortByWeight} from './node-pattern.ts'

/** One line of a credentials file. */
export interface LoginRule {
  readonly node: NodePattern
  /** 'migrate': not for us, but for the other nodes when they send keys to this one. */
  readonly purpose: 'ours' | 'migrate'
  readonly login: Login
}

/** The password is in no property, so that no trace, error or JSON text shows it. */
export class Login implements PeerLogin {
  readonly username: string | undefined
  readonly #password: string

  constructor(username: string | undefined, password: string) {
    this.username = username
    this.#password = password
  }

  /** What follows AUTH in the command of that name. */
  authWords(): string[] {
    return this.username === undefined ? [this.#password] : [this.username, this.#password]
  }

  /** The option of MIGRATE. */
  migrateWords(): Argument[] {
    return [this.username === undefined ? 'AUTH' : 'AUTH2', ...this.authWords()]
  }
}

export interface NodeLogins {
  /** Ours. */
  readonly login: Login | undefined
  /** Of the other nodes, where it is another one. */
  readonly peerLogin: Login | undefined
}

export class Logins {
  readonly #rules: readonly LoginRule[]
  readonly #everywhere: Login | undefined

  /** `everywhere` holds for nodes that no rule means. */
  constructor(rules: readonly LoginRule[], everywhere: Login | undefined) {
    this.#rules = sortByWeight(rules, ({node}) => node)
    this.#everywhere = everywhere
  }

  /** Is there one for any node? */
  get hasAny(): boolean {
    return this.#everywhere !== undefined || this.#rules.some(({purpose}) => purpose === 'ours')
  }

  /** A node is meant by any of its addresses: that by which we dial it, and that which it announces. */
  at(addresses: readonly NodeAddress[]): NodeLogins {
    const find = (purpose: LoginRule['purpose']): Login | undefined =>
      this.#rules.find((rule) => rule.purpose === purpose && addresses.some((one) => matches(rule.node, one)))?.login
    return {login: find('ours') ?? this.#everywhere, peerLogin: find('migrate')}
  }
}
