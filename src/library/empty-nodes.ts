/** How does a program make a cluster of empty nodes? It meets them, plans, and has them created. */
import {createCluster} from '../lib/engine/create-cluster.ts'
import type {EngineListener} from '../lib/engine/events.ts'
import {meetNewcomers, type Newcomer, requireEmpty} from '../lib/engine/newcomers.ts'
import {openSession} from '../lib/engine/session.ts'
import {RefusedError} from '../lib/errors.ts'
import type {PlaceableNode} from '../lib/plan/placement.ts'
import type {CreatePlan} from '../lib/plan/plan.ts'
import {openClusterPort} from '../lib/redis/connect.ts'
import {Cluster} from './cluster.ts'
import {type AccessOptions, accessTo} from './connection.ts'

export interface MeetOptions extends AccessOptions {
  readonly addresses: readonly string[]
}

export interface CreationOptions {
  /** Default 60 s. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly onEvent?: EngineListener
}

/**
 * Connects to nodes that are to become a cluster. To be closed, unless a cluster was made of them.
 * @throws RefusedError 'node-not-empty' or 'not-cluster-mode'; NodeError when one does not answer.
 */
export async function meetEmptyNodes({addresses, ...access}: MeetOptions): Promise<EmptyNodes> {
  const {addresses: places, options} = accessTo(addresses, access)
  const port = openClusterPort(options)
  try {
    const newcomers = await meetNewcomers(port, places)
    requireEmpty(newcomers)
    return new EmptyNodes(port, newcomers)
  } catch (error) {
    port.close()
    throw error
  }
}

/** Nodes without keys, slots and peers. */
export class EmptyNodes {
  readonly #port: ReturnType<typeof openClusterPort>
  readonly #newcomers: readonly Newcomer[]
  /** For `planCreate`, each with its zone where the server tells one. */
  readonly nodes: readonly PlaceableNode[]

  /** Not for programs: see `meetEmptyNodes`. */
  constructor(port: unknown, newcomers: unknown) {
    this.#port = port as ReturnType<typeof openClusterPort>
    this.#newcomers = newcomers as readonly Newcomer[]
    this.nodes = this.#newcomers.map(({port: {id, address}, view}) => {
      const zone = view.serverInfo.availabilityZone
      return {id, address, ...(zone ? {zone} : {})}
    })
  }

  /**
   * Returns when every node knows every other, all slots are covered and each says that it serves. The cluster is to be
   * closed in the end, and closes these connections.
   * @throws InterruptedError when the nodes do not get there in time.
   */
  async create(plan: CreatePlan, options: CreationOptions = {}): Promise<Cluster> {
    const {timeoutMs: deadlineMs = 60_000, signal, onEvent: listener} = options
    const planned = new Set(plan.primaries.flatMap(({id, replicas}) => [id, ...replicas.map((one) => one.id)]))
    const ports = this.#newcomers.map(({port}) => port).filter(({id}) => planned.has(id))
    if (ports.length < planned.size) {
      throw new RefusedError('stale-plan', 'the plan names nodes that are not among these')
    }
    await createCluster(plan, ports, {deadlineMs, signal, listener})
    return new Cluster(
      await openSession(
        this.#port,
        ports.map(({address}) => address),
      ),
    )
  }

  close(): void {
    this.#port.close()
  }
}
