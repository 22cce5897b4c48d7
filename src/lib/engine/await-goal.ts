/** Has a cluster reached the state that somebody waits for, and what is missing? Looks again and again, changes nothing. */
import {InterruptedError, NodeError, type NodeFailure} from '../errors.ts'
import {inspect} from '../findings/inspect.ts'
import {formatAddress, type NodeAddress, type Topology} from '../topology/model.ts'
import {labelNode} from '../topology/queries.ts'
import type {ClusterPort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'
import {openSession} from './session.ts'
import {isSettled} from './settle.ts'
import {orAbort, pollUntil} from './waiting.ts'

/**
 * healthy: no finding is an error. agreed: all nodes that answer tell the same slots at the same epochs. joined: all
 * nodes answer and know one another.
 */
export type Goal = 'healthy' | 'agreed' | 'joined'

export interface GoalOptions {
  readonly goal: Goal
  /** Just so many nodes, besides. */
  readonly nodes?: number | undefined
}

/** In words, the most important first; empty when the goal is reached. Pure. */
export function missingFor(topology: Topology, {goal, nodes}: GoalOptions): string[] {
  const missing = MISSING[goal](topology)
  const count = topology.nodes.length
  if (nodes !== undefined && count !== nodes) missing.unshift(`the cluster has ${count} of ${nodes} nodes`)
  return missing
}

const MISSING: Readonly<Record<Goal, (topology: Topology) => string[]>> = {
  healthy: (topology) =>
    inspect(topology)
      .filter(({severity}) => severity === 'error')
      .map(({message}) => message),
  agreed: (topology) => {
    if (isSettled(topology)) return []
    const reasons = inspect(topology).filter(({id}) => id === 'disagreement' || id === 'epoch-collision')
    return reasons.length > 0
      ? reasons.map(({message}) => message)
      : ['the nodes differ on members, roles or config epochs']
  },
  joined: (topology) => [
    ...topology.nodes.flatMap((node) =>
      node.reach.kind === 'reached' ? [] : [`node ${labelNode(node)} cannot be reached: ${node.reach.message}`],
    ),
    ...inspect(topology)
      .filter(({id}) => id === 'membership-gap' || id === 'handshake')
      .map(({message}) => message),
  ],
}

/** What a server that is only starting does not answer with. */
const HOPELESS: ReadonlySet<NodeFailure> = new Set<NodeFailure>([
  'auth',
  'permission',
  'protected',
  'tls',
  'not-cluster',
])

export interface AwaitOptions extends GoalOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
}

/**
 * Seeds that do not answer yet are waited for, too.
 * @throws InterruptedError with what is missing at the deadline; NodeError at once for a login or TLS that will not do;
 *   the signal's reason when it aborts.
 */
export async function awaitGoal(
  port: ClusterPort,
  seeds: readonly NodeAddress[],
  options: AwaitOptions,
): Promise<Topology> {
  const {goal, deadlineMs, listener} = options
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(new InterruptedError('the time is over')), deadlineMs)
  const ends = options.signal ? AbortSignal.any([options.signal, deadline.signal]) : deadline.signal
  let missing: string[] = [`${seeds.map(formatAddress).join(', ')} did not answer yet`]
  try {
    const reached = await pollUntil(
      async () => {
        const {topology, missing: now} = await orAbort(look(port, seeds, options), ends).catch((error: unknown) => {
          if (ends.aborted) return {topology: undefined, missing}
          throw error
        })
        if (now[0] !== missing[0] && now[0] !== undefined) listener?.({kind: 'phase', text: `Waiting: ${now[0]}`})
        missing = now
        return missing.length === 0 ? topology : undefined
      },
      {deadlineMs, firstIntervalMs: 50, signal: ends},
    )
    if (reached) return reached
  } finally {
    clearTimeout(timer)
  }
  options.signal?.throwIfAborted()
  const more = missing.length > 1 ? ` (and ${missing.length - 1} more)` : ''
  throw new InterruptedError(`not ${goal} within ${deadlineMs / 1000} s: ${missing[0]}${more}`, {
    details: {goal, missing},
    suggestions: [`rcluster check ${formatAddress(seeds[0] as NodeAddress)}`, 'Or wait longer, with --timeout'],
  })
}

async function look(
  port: ClusterPort,
  seeds: readonly NodeAddress[],
  options: GoalOptions,
): Promise<{topology: Topology | undefined; missing: string[]}> {
  try {
    // A session of its own each time: what did not answer the last time is asked again.
    const {topology} = await openSession(port, seeds)
    return {topology, missing: missingFor(topology, options)}
  } catch (error) {
    if (!(error instanceof NodeError) || HOPELESS.has(error.failure)) throw error
    return {topology: undefined, missing: [error.message]}
  }
}
