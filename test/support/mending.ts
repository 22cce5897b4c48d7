/** How are the slots of a fake cluster mended in a test, and in which ways are they broken before? */
import {
  lookForRepairs,
  type RepairOutcome,
  type RunRepairsOptions,
  runRepairs,
} from '../../src/lib/engine/run-repairs.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import type {RepairPlan} from '../../src/lib/plan/repair-plan.ts'
import type {FakeServer} from './fake/fake-server.ts'
import type {FakeCluster} from './fake-cluster.ts'
import {keyIn} from './moving.ts'

/** One command: looks, and carries out all that it may; by default what is safe. */
export async function mend(
  cluster: FakeCluster,
  more: Partial<RunRepairsOptions> = {},
): Promise<{plan: RepairPlan; outcome: RepairOutcome}> {
  const options = {settleMs: 10, ...more}
  const session = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  const plan = await lookForRepairs(session, options)
  const isAllowed = options.isAllowed ?? (({risk}) => risk === 'safe')
  return {plan, outcome: await runRepairs(session, plan, {...options, isAllowed})}
}

/** Keys of the slot go from one server to another, as MIGRATE would take them. */
export function carryKeys(from: FakeServer, to: FakeServer, slot: number, count: number): void {
  for (const key of from.keyspace.keysIn(slot, 0).slice(0, count)) {
    const value = from.keyspace.get(key, 0)
    if (value) to.keyspace.set(key, value, 0)
    from.keyspace.delete(key, 0)
  }
}

/** A key of the slot that no client finds there. */
export function putStray(server: FakeServer, slot: number, n: number, value: string, database = 0): void {
  server.keyspace.set(keyIn(slot, n), {payload: Buffer.from(value), expiresAtMs: undefined}, database)
}

/** Every server forgets the owner of the slot. */
export function unassign(cluster: FakeCluster, slot: number): void {
  for (const server of cluster.servers) server.assign(slot, undefined)
}
