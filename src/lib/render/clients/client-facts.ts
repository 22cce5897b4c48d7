/** What does a client library have to be told to reach a cluster from here? Values only. */
import type {NodeAddress} from '../../topology/model.ts'

export interface AddressPair {
  /** What the nodes tell clients. */
  readonly told: NodeAddress
  /** Where that node is reached from here. */
  readonly reachedAt: NodeAddress
}

export interface ClientFacts {
  readonly startupNodes: readonly NodeAddress[]
  /** Empty where clients get through with what the nodes tell them. */
  readonly addressMap: readonly AddressPair[]
  /** For clients that go by CLUSTER NODES, which tells other addresses than CLUSTER SLOTS and redirections: besides these. */
  readonly listedMap: readonly AddressPair[]
  /** Some node is told without a host, which no map can mend. */
  readonly isNameless: boolean
  readonly isTls: boolean
  /** The path of a file with authorities, as it was given to us. */
  readonly caFile: string | undefined
  /** undefined: the default user. */
  readonly user: string | undefined
  readonly hasPassword: boolean
}

/** Where the printed settings get the password from: it is never in them. */
export const PASSWORD_VARIABLE = 'REDIS_PASSWORD'

/** As JSON writes it, which JavaScript, Python, Go and Java read alike. */
export function quoted(text: string): string {
  return JSON.stringify(text)
}

/** "127.0.0.1:7000"; an IPv6 host without brackets, as libraries that join the two by themselves have it. */
export function plainKey({host, port}: NodeAddress): string {
  return `${host}:${port}`
}
