/** What can the operator do about a node that does not answer, or says no? Pure. */
import {RIGHTS} from '../engine/rights.ts'
import {type ClusterError, NodeError} from '../errors.ts'

export interface ConnectionFacts {
  readonly hasPassword: boolean
  /** The file of --credentials. */
  readonly credentials?: string | undefined
  readonly usesTls: boolean
  /** Nobody named a node, so 127.0.0.1:6379 was asked. */
  readonly isDefaultSeed: boolean
  /** What rcluster was to do: "reshard". */
  readonly command: string
}

/** Empty where there is nothing to say beyond the message. */
export function adviceOn(
  {failure, address}: NodeError,
  {hasPassword, credentials, usesTls, isDefaultSeed, command}: ConnectionFacts,
): string[] {
  const aboutTls = usesTls ? 'If the server does not speak TLS, leave --tls out' : 'If the server wants TLS, add --tls'
  switch (failure) {
    case 'refused':
    case 'unresolved':
      return [
        isDefaultSeed
          ? 'Name a node of the cluster, by an argument, --seed or RCLUSTER_SEED'
          : 'Start the server, correct the address, or name another node',
      ]
    case 'no-route':
      return ['Name the address at which this machine reaches it: of a container, the published one']
    case 'timeout':
      return ['If the server is only slow, give --connect-timeout and --command-timeout', aboutTls]
    case 'closed':
      return [aboutTls]
    case 'auth':
      if (credentials !== undefined) return [`Correct its line in ${credentials}, or add one: ${address} USER PASSWORD`]
      return [
        hasPassword
          ? 'Correct the password, or name its user with --user'
          : 'Set RCLUSTER_PASSWORD, or give --password-file or --askpass',
      ]
    case 'permission':
      return adviceOnRights(command)
    case 'protected':
      return ['Protected mode lets only the machine itself in: run rcluster there, or set a password on the server']
    case 'tls':
      return ['Name the authority that signed the certificate with --cacert, or do without verification: --insecure']
    case 'not-cluster':
      return ['Start that server with cluster-enabled yes']
    default:
      return []
  }
}

function adviceOnRights(command: string): string[] {
  const rule = command in RIGHTS ? command : '--all'
  return [`Log in with --user as somebody who may, or give this user what this prints: rcluster acl ${rule}`]
}

/** For failures that came of a missing right, be it one of several nodes' or deep below. Empty where that is not so, or is told already. */
export function adviceOnDenied(error: ClusterError, command: string): string[] {
  if (error.suggestions.some((text) => text.includes('rcluster acl '))) return []
  if (/\bNOPERM\b|\bour user may not\b/.test(error.message)) return adviceOnRights(command)
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof NodeError && cause.failure === 'permission') return adviceOnRights(command)
  }
  return []
}
