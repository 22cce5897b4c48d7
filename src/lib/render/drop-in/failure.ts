/** How does the drop-in form tell a failure? Connections and mistyped words on stderr, all else on stdout, as redis-cli. */
import {type ClusterError, NodeError, type NodeFailure} from '../../errors.ts'
import {cleanLines} from '../clean.ts'

export interface ToldFailure {
  readonly stdout: string
  readonly stderr: string
}

/** In the words of the C library, which scripts look for. */
const REASONS: Partial<Record<NodeFailure, string>> = {
  refused: 'Connection refused',
  unresolved: 'Name or service not known',
  'no-route': 'No route to host',
  closed: 'Server closed the connection',
}

const CONNECTION_FAILURES: ReadonlySet<string> = new Set<NodeFailure>([
  'refused',
  'unresolved',
  'no-route',
  'timeout',
  'closed',
  'not-redis',
  'tls',
  'wrong-node',
])

export function renderDropInFailure(error: ClusterError): ToldFailure {
  if (error instanceof NodeError && CONNECTION_FAILURES.has(error.failure)) {
    return {stdout: '', stderr: renderUnreachable(error.address, error.failure, error.message)}
  }
  const text = [messageOf(error), ...error.suggestions.map((one) => `    ${cleanLines(one)}`)]
  if (error.code === 'E_CANCELLED') return {stdout: `*** ${text.join('\n')}`, stderr: ''}
  const prefix = error.message.startsWith('[ERR]') ? '' : '[ERR] '
  const lines = `${prefix}${text.join('\n')}`
  return error.code === 'E_USAGE' || error.code === 'E_INTERNAL'
    ? {stdout: '', stderr: lines}
    : {stdout: lines, stderr: ''}
}

/** Error replies as redis-cli puts them: "Node 127.0.0.1:7000 NOAUTH Authentication required." */
function messageOf(error: ClusterError): string {
  if (!(error instanceof NodeError)) return cleanLines(error.message)
  const {address, failure, message} = error
  if (failure === 'not-cluster') return `Node ${address} is not configured as a cluster node.`
  return cleanLines(message).replace(`${address} answered: `, `Node ${address} `)
}

/** "Could not connect to Redis at 127.0.0.1:7000: Connection refused". `message` is ours, for failures that C has no words for. */
export function renderUnreachable(address: string, failure: string, message: string): string {
  return `Could not connect to Redis at ${address}: ${REASONS[failure as NodeFailure] ?? cleanLines(message).replace(`${address} `, '')}`
}
