/** Two that share a node never hold the lock at once, whatever overtakes what. */
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {type ClusterLock, findLockHolder, takeLock} from '../../src/lib/engine/cluster-lock.ts'
import {formatLockName, type LockOwner, parseLockName} from '../../src/lib/engine/lock-entry.ts'
import {pause, pollUntil} from '../../src/lib/engine/waiting.ts'
import {type ClusterError, NodeError, RefusedError} from '../../src/lib/errors.ts'
import {FakePort} from '../support/fake/fake-port.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

const LEASE_MS = 400

function owner(user: string): LockOwner {
  return {user, host: 'somewhere', pid: 1, since: '2026-11-23T14:03:12.000Z', command: 'rcluster reshard'}
}

/** Each operator has connections of its own. */
function portsOf(cluster: FakeCluster, nodes: readonly number[]): FakePort[] {
  return nodes.map((node) => new FakePort(cluster, cluster.server(node)))
}

interface Told {
  readonly lock: ClusterLock
  readonly lost: {how: 'asked' | 'gone'; reason: ClusterError}[]
  readonly notes: string[]
}

async function take(ports: readonly FakePort[], user: string, isTaking = false, leaseMs = LEASE_MS): Promise<Told> {
  const lost: Told['lost'] = []
  const notes: string[] = []
  const lock = await takeLock(ports, {
    owner: owner(user),
    isTaking,
    leaseMs,
    onLost: (how, reason) => lost.push({how, reason}),
    onNote: (text) => notes.push(text),
  })
  return {lock, lost, notes}
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof RefusedError)) throw new Error(`no refusal: ${String(error)}`)
  return error.message
}

describe('the lock', () => {
  test('is refused to the second, who is told about the first, and free when that is done', async () => {
    const cluster = new FakeCluster()
    const first = await take(portsOf(cluster, [0, 1, 2]), 'ada')
    expect(await refusalOf(take(portsOf(cluster, [2]), 'bob'))).toBe(
      'ada@somewhere (process 1, since 2026-11-23 14:03:12 UTC) is at work on this cluster: rcluster reshard',
    )
    expect(await findLockHolder(portsOf(cluster, [0, 1, 2]))).toMatchObject({user: 'ada'})
    await first.lock.release()
    expect(await findLockHolder(portsOf(cluster, [0, 1, 2]))).toBeUndefined()
    const second = await take(portsOf(cluster, [2]), 'bob')
    await second.lock.release()
    expect([...first.lost, ...second.lost]).toEqual([])
  })

  const claimant = fc.record({
    nodes: fc.uniqueArray(fc.integer({min: 0, max: 2}), {minLength: 1, maxLength: 3}),
    startsAfterMs: fc.integer({min: 0, max: 30}),
    worksForMs: fc.integer({min: 0, max: 40}),
    isTaking: fc.boolean(),
  })

  test('is held by one at a time, of any that share a node, and by somebody in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(claimant, {minLength: 2, maxLength: 4}),
        fc.array(fc.integer({min: 0, max: 12}), {minLength: 1, maxLength: 40}),
        async (claimants, latencies) => {
          const cluster = new FakeCluster()
          let calls = 0
          cluster.latencyOf = () => latencies[calls++ % latencies.length] as number
          const atWork = new Set<number>()
          let held = 0
          const one = async (index: number): Promise<void> => {
            const {nodes, startsAfterMs, worksForMs, isTaking} = claimants[index] as (typeof claimants)[number]
            await pause(startsAfterMs)
            const over = new AbortController()
            let lock: ClusterLock
            try {
              lock = await takeLock(portsOf(cluster, nodes), {
                owner: owner(String(index)),
                isTaking,
                leaseMs: LEASE_MS,
                onLost: () => over.abort(),
              })
            } catch (error) {
              if (error instanceof RefusedError) return
              throw error
            }
            held++
            const sharing = [...atWork].filter((other) => claimants[other]?.nodes.some((node) => nodes.includes(node)))
            // What is in flight may take its time, after the lock was lost as well.
            atWork.add(index)
            await pause(worksForMs)
            atWork.delete(index)
            await lock.release()
            expect(sharing, `beside ${index}`).toEqual([])
          }
          await Promise.all(claimants.map((_, index) => one(index)))
          expect(held).toBeGreaterThan(0)
          expect(cluster.servers.flatMap(({clients}) => [...clients])).toEqual([])
        },
      ),
      {numRuns: 40},
    )
  }, 60_000)

  test('comes back after the restart of a node, unseen by its holder', async () => {
    const cluster = new FakeCluster()
    const {lock, lost} = await take(portsOf(cluster, [0, 1, 2]), 'ada')
    for (const {end} of [...cluster.server(1).clients.values()]) end()
    expect(await pollUntil(async () => cluster.server(1).clients.size || undefined, {deadlineMs: 5000})).toBe(1)
    await lock.ready()
    expect(lost).toEqual([])
    expect(await refusalOf(take(portsOf(cluster, [1]), 'bob'))).toContain('ada@somewhere')
    await lock.release()
  })

  test('is given to who takes it, once what is in flight is done', async () => {
    const cluster = new FakeCluster()
    const first = await take(portsOf(cluster, [0, 1, 2]), 'ada')
    let hasEnded = false
    const taking = take(portsOf(cluster, [0, 1, 2]), 'bob', true).then((told) => ({...told, wasFree: hasEnded}))
    await pollUntil(async () => first.lost[0], {deadlineMs: 5000})
    expect(first.lost.map(({how, reason}) => [how, reason.message])).toEqual([
      ['asked', expect.stringContaining('bob@somewhere')],
    ])
    await pause(100)
    hasEnded = true
    await first.lock.release()
    const second = await taking
    expect(second.wasFree).toBe(true)
    expect(second.notes).toEqual([expect.stringContaining('Taking the lock from ada@somewhere')])
    await second.lock.release()
  })

  test('of a run that stands still is passed over when its time is up, and not before; that run learns it', async () => {
    const cluster = new FakeCluster()
    const asleep = await take(portsOf(cluster, [0, 1, 2]), 'ada')
    // Its machine is gone: nothing ends the connections, nothing comes over them any more.
    const silence = (): void => {
      for (const {clients} of cluster.servers) for (const client of clients.values()) client.spokeAtMs -= LEASE_MS
    }
    expect(await refusalOf(take(portsOf(cluster, [0]), 'bob'))).toContain('ada@somewhere')
    silence()
    const second = await take(portsOf(cluster, [0, 1, 2]), 'bob')
    expect(second.notes).toEqual([expect.stringContaining('without a sign of life: ada@somewhere')])
    await pollUntil(async () => asleep.lost[0], {deadlineMs: 5000})
    expect(asleep.lost[0]).toMatchObject({how: 'gone', reason: {message: expect.stringContaining('bob@somewhere')}})
    await asleep.lock.ready()
    await asleep.lock.release()
    expect(second.lost).toEqual([])
    await second.lock.release()
  })

  test('is taken from a run that stands still only when that cannot believe any more to hold it', async () => {
    const cluster = new FakeCluster()
    const ports = portsOf(cluster, [0, 1, 2])
    const frozen = await take(ports, 'ada')
    for (const port of ports) port.die()
    const [client] = [...cluster.server(0).clients.values()]
    const bornAtMs = client?.spokeAtMs ?? 0
    const second = await take(portsOf(cluster, [0, 1, 2]), 'bob', true)
    expect(performance.now() - bornAtMs).toBeGreaterThanOrEqual(LEASE_MS - 20)
    expect(frozen.lost).toEqual([])
    await second.lock.release()
  })

  test('cannot be seen by users who may not list clients, and hinders nobody then', async () => {
    const cluster = new FakeCluster()
    const forbidden = (ports: FakePort[], method: 'listNamedClients' | 'killClient'): FakePort[] => {
      for (const port of ports) {
        const refuse = () => Promise.reject(new NodeError('permission', 'node', 'NOPERM client'))
        if (method === 'killClient') port.killClient = refuse
        else port.listNamedClients = refuse
      }
      return ports
    }
    const first = await take(portsOf(cluster, [0, 1, 2]), 'ada')
    expect(first.lock.isBlind).toBe(false)
    const blind = await take(forbidden(portsOf(cluster, [0, 1]), 'listNamedClients'), 'bob')
    expect(blind.lock.isBlind).toBe(true)
    await blind.lock.release()
    const taking = take(forbidden(portsOf(cluster, [0, 1]), 'killClient'), 'bob', true)
    expect(await refusalOf(taking)).toContain('cannot be taken')
    expect(first.lost).toEqual([])
    await first.lock.release()
  })
})

describe('the name of a lock', () => {
  const entry = {...owner('ada'), nonce: '0123456789abcdef', phase: 'held', isTaking: false, leaseMs: 1} as const

  test('takes no space and comes back as it was', () => {
    const odd = {...entry, command: 'rcluster reshard "ü" 日本', user: 'domain\\ada'}
    expect(formatLockName(odd)).toMatch(/^[!-~]+$/)
    expect(parseLockName(formatLockName(odd))).toEqual(odd)
  })

  test('of anybody is read without a failure, and tells nothing that could steer a terminal', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseLockName(`rcluster-lock:1:${Buffer.from(text).toString('base64url')}`)
        parseLockName(`rcluster-lock:1:${text}`)
      }),
    )
    const hostile = parseLockName(formatLockName({...entry, user: '\u001b[2J\nada\u202e', host: ''}))
    expect(hostile).toMatchObject({user: '[2J ada', host: '?'})
  })
})
