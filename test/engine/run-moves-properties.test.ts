import fc from 'fast-check'
import {describe, it} from 'vitest'
import type {SlotMove} from '../../src/lib/plan/plan.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {carryOut, expectWhole, keyIn, leftOf} from '../support/moving.ts'

const SHARES = ['0-19', '20-39', '40-16383']

interface Story {
  /** Slot to the index of its new owner; moves to the owner itself are left out. */
  readonly targets: readonly (readonly [slot: number, to: number])[]
  readonly keys: readonly (readonly [slot: number, n: number, database: number])[]
  /** Commands that each tool lives for. */
  readonly lives: readonly number[]
  /** Turns of the event loop that each node takes to answer. */
  readonly latencies: readonly number[]
  readonly gossip: FakeCluster['gossip']
}

const slot = fc.nat({max: 45})
const story: fc.Arbitrary<Story> = fc.record({
  targets: fc.uniqueArray(fc.tuple(slot, fc.nat({max: 3})), {minLength: 1, maxLength: 20, selector: ([at]) => at}),
  keys: fc.array(fc.tuple(slot, fc.nat({max: 5}), fc.nat({max: 1})), {maxLength: 40}),
  lives: fc.array(fc.integer({min: 1, max: 60}), {maxLength: 3}),
  latencies: fc.array(fc.nat({max: 3}), {minLength: 4, maxLength: 4}),
  gossip: fc.constantFrom('at-once' as const, 5, 11),
})

function enact(told: Story): {cluster: FakeCluster; moves: SlotMove[]} {
  const cluster = new FakeCluster({databases: 2, shares: SHARES, slotless: 1})
  for (const [at, n, database] of told.keys) cluster.set(keyIn(at, n), `${at} ${n} ${database}`, database)
  const moves = told.targets
    .map(([at, to]) => ({slot: at, from: cluster.server(0).owners[at] as string, to: cluster.server(to).id}))
    .filter(({from, to}) => from !== to)
  cluster.latencyOf = (id) => told.latencies[cluster.servers.findIndex((server) => server.id === id)] ?? 0
  cluster.gossip = told.gossip
  return {cluster, moves}
}

const limits = {maxKeys: 2, maxBytes: 64 * 1024}

describe('whatever the plan, and wherever the tools before were killed', () => {
  it('the last run leaves a whole cluster with every key', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (told) => {
        const {cluster, moves} = enact(told)
        const contents = cluster.contents()
        for (const life of told.lives) {
          const crashed = cluster.script.crashAt(cluster.script.changes.length + life)
          const run = leftOf(cluster, moves).then((left) => carryOut(cluster, left, {limits}))
          run.catch(() => undefined)
          await Promise.race([run, crashed])
          cluster.revive()
        }
        await carryOut(cluster, await leftOf(cluster, moves), {limits})
        expectWhole(cluster, moves, contents)
      }),
      {numRuns: 40, interruptAfterTimeLimit: 8000},
    )
  })
})
