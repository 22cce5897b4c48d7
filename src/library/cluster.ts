/** What does a program do with a cluster? Looks at it, judges it, and has plans carried out on it. */
import {meetNewcomers} from '../lib/engine/newcomers.ts'
import {readDetails} from '../lib/engine/read-details.ts'
import {lookForRepairs, type RepairLookOptions} from '../lib/engine/run-repairs.ts'
import {type ClusterSession, openSession} from '../lib/engine/session.ts'
import {isSettled} from '../lib/engine/settle.ts'
import {pollUntil} from '../lib/engine/waiting.ts'
import {RefusedError} from '../lib/errors.ts'
import {detailsFor, type Examination, examine} from '../lib/findings/examine.ts'
import {RULE_IDS, type RuleId} from '../lib/findings/rule-book.ts'
import type {RepairPlan} from '../lib/plan/repair-plan.ts'
import {openClusterPort} from '../lib/redis/connect.ts'
import {formatAddress, type NodeAddress, type NodeId, type Topology} from '../lib/topology/model.ts'
import {seedAddress} from '../lib/topology/queries.ts'
import {type AccessOptions, accessTo} from './connection.ts'
import {type ClusterPlan, type Outcomes, type RunOptions, runPlan} from './run-plan.ts'

export interface ConnectOptions extends AccessOptions {
  /** Any nodes of the cluster, by address; the first that answers is used, the others must belong to the same cluster. */
  readonly seeds: string | readonly string[]
}

export interface WaitOptions {
  readonly timeoutMs?: number
  /** Its reason is thrown when it aborts first. */
  readonly signal?: AbortSignal
}

/**
 * Finds a cluster by its seeds and looks at all of its nodes. To be closed in the end.
 * @throws NodeError when no seed answers; UsageError for seeds that are no addresses; RefusedError 'foreign-cluster' for
 *   seeds of different clusters.
 */
export async function connect({seeds, ...access}: ConnectOptions): Promise<Cluster> {
  const {addresses, options} = accessTo(typeof seeds === 'string' ? [seeds] : seeds, access)
  const port = openClusterPort(options)
  try {
    const session = await openSession(port, addresses)
    await session.requireOneCluster()
    return new Cluster(session)
  } catch (error) {
    port.close()
    throw error
  }
}

/** A cluster that was found. All that it says of nodes is as of the latest look. */
export class Cluster {
  readonly #session: ClusterSession

  /** Not for programs: see `connect` and `meetEmptyNodes`. */
  constructor(session: unknown) {
    this.#session = session as ClusterSession
  }

  /** The latest look: a frozen value, which a later look replaces. */
  get topology(): Topology {
    return this.#session.topology
  }

  /** Looks again, at every node that any node knows. Nodes that do not answer are told of in it, not thrown. */
  observe(): Promise<Topology> {
    return this.#session.observe()
  }

  /**
   * Looks until all nodes that answer tell the same owners and epochs. Changes nothing.
   * @throws RefusedError 'disagreement' when they do not within `timeoutMs`, by default 15 s.
   */
  async settled({timeoutMs = 15_000, signal}: WaitOptions = {}): Promise<Topology> {
    await this.#session.observe()
    const settled = await pollUntil(
      async () => (isSettled(this.topology) ? this.topology : void (await this.#session.refresh())),
      {deadlineMs: timeoutMs, signal},
    )
    signal?.throwIfAborted()
    if (settled) return settled
    throw new RefusedError('disagreement', `the nodes did not agree on slots and config epochs in ${timeoutMs} ms`, {
      suggestions: [`rcluster check ${seedAddress(this.topology)}`],
    })
  }

  /**
   * Judges the latest look by all rules of docs/rules.md, or by some of them, as `rcluster check` does: nodes are asked for
   * settings, functions and users where a rule needs them. Changes nothing. `inspect(topology)` asks nobody.
   */
  async check({rules = RULE_IDS}: {readonly rules?: readonly RuleId[]} = {}): Promise<Examination> {
    const details = await readDetails(this.#session, {
      wanted: detailsFor(rules),
      countsKeys: rules !== RULE_IDS && rules.includes('orphan-keys'),
    })
    return examine(this.topology, details, rules)
  }

  /** What `planJoin` must know of nodes that are to join. @throws NodeError, or RefusedError 'not-cluster-mode' */
  async meet(addresses: readonly string[]): Promise<readonly {readonly id: NodeId; readonly address: NodeAddress}[]> {
    const places = accessTo(addresses, {}).addresses
    return (await meetNewcomers(this.#session.port, places)).map(({port: {id, address}}) => ({id, address}))
  }

  /** Looks for what is out of order with slots, counting keys where that decides. Changes nothing. */
  planRepairs(options: RepairLookOptions = {}): Promise<RepairPlan> {
    return lookForRepairs(this.#session, options)
  }

  /**
   * Carries out a plan, under the lock that keeps every other rcluster off the cluster meanwhile. A plan that was carried
   * out in part goes on where it stopped; one that is done is done at once.
   * @throws RefusedError when the cluster is not what the plan was made for, or not fit: nothing was changed then;
   *   InterruptedError when part of it was done; NodeError when a node does not answer or says no.
   */
  run<P extends ClusterPlan>(plan: P, options: RunOptions = {}): Promise<Outcomes[P['kind']]> {
    return runPlan(this.#session, plan, options)
  }

  /** Ends all connections at once. */
  close(): void {
    this.#session.close()
  }

  /** "Cluster of 6 nodes at 127.0.0.1:7000" */
  toString(): string {
    return `Cluster of ${this.topology.nodes.length} nodes at ${formatAddress(this.#session.seed)}`
  }
}
