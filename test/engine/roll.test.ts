import {describe, expect, it} from 'vitest'
import type {RollRunOptions} from '../../src/lib/engine/restart-node.ts'
import {requireFiles, runRoll} from '../../src/lib/engine/roll.ts'
import {type ClusterSession, openSession} from '../../src/lib/engine/session.ts'
import {CancelledError, InterruptedError} from '../../src/lib/errors.ts'
import {planRoll, type RollOptions, type RollPlan} from '../../src/lib/plan/roll.ts'
import type {NodeId} from '../../src/lib/topology/model.ts'
import type {FakeServer} from '../support/fake/fake-server.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

interface Trial {
  readonly session: ClusterSession
  readonly plan: RollPlan
  /** "restarted 7003", "handed-over 7003" */
  readonly acts: string[]
  run(more?: Partial<RollRunOptions>): Promise<void>
}

let starts = 0

function restartAt(server: FakeServer): void {
  server.runId = `start ${++starts}`
}

async function trialOn(cluster: FakeCluster, options: Partial<RollOptions> = {}): Promise<Trial> {
  const session = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  const acts: string[] = []
  const plan = planRoll(session.topology, {isFailingBack: false, mayLeaveUnserved: false, ...options})
  const run = (more: Partial<RollRunOptions> = {}): Promise<void> =>
    runRoll(session, plan, {
      restart: async ({id}) => restartAt(cluster.serverById(id)),
      backMs: 700,
      untilVersion: undefined,
      ready: async () => {},
      stop: new AbortController().signal,
      abort: new AbortController().signal,
      listener: () => {},
      onFailover: () => {},
      onAct: ({kind, node}) => acts.push(`${kind} ${node.address.slice(-4)}`),
      ...more,
    })
  return {session, plan, acts, run}
}

/** What it ends with; the acts until then are told by the trial. */
async function endOf(running: Promise<void>): Promise<string> {
  try {
    await running
  } catch (error) {
    expect(error).toBeInstanceOf(InterruptedError)
    return (error as Error).message
  }
  return 'done'
}

describe('a roll', () => {
  it('restarts every node once, no primary with slots, and waits for each', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const {acts, run} = await trialOn(cluster)
    const asked: NodeId[] = []
    await run({
      restart: async ({id, role}) => {
        expect(role).toBe('replica')
        expect(cluster.servers.filter(({down}) => down)).toEqual([])
        asked.push(id)
        const server = cluster.serverById(id)
        server.down = 'refused'
        setTimeout(() => {
          restartAt(server)
          server.down = undefined
        }, 50)
      },
    })
    expect(new Set(asked).size).toBe(6)
    expect(acts).toEqual([
      ...['restarted 7003', 'handed-over 7003', 'restarted 7000'],
      ...['restarted 7004', 'handed-over 7004', 'restarted 7001'],
      ...['restarted 7005', 'handed-over 7005', 'restarted 7002'],
    ])
  })

  it('hands the role back', async () => {
    const cluster = new FakeCluster({replicas: 1, primaries: 3})
    const {acts, run} = await trialOn(cluster, {isFailingBack: true, only: new Set([cluster.server(0).id])})
    await run()
    expect(acts).toEqual(['handed-over 7003', 'restarted 7000', 'handed-back 7000'])
    expect(cluster.server(3).me.primaryId).toBe(cluster.server(0).id)
  })

  it('does not hand it back over a replica of an older version', async () => {
    const cluster = new FakeCluster({replicas: 2, primaries: 3})
    const {acts, run} = await trialOn(cluster, {isFailingBack: true, only: new Set([cluster.server(0).id])})
    const notes: string[] = []
    await run({
      restart: async ({id}) => {
        cluster.serverById(id).settings.set('fake-version', '8.6.0')
        restartAt(cluster.serverById(id))
      },
      listener: (event) => event.kind === 'note' && notes.push(event.text),
    })
    expect(acts.map((act) => act.split(' ')[0])).toEqual(['handed-over', 'restarted'])
    expect(notes).toEqual([expect.stringMatching(/is not made the primary again: .* would follow a newer server/)])
  })

  it('ends between two nodes when it is told to', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const {acts, run} = await trialOn(cluster)
    const stop = new AbortController()
    const running = run({
      stop: stop.signal,
      restart: async ({id}) => {
        stop.abort(new CancelledError('Stopped'))
        restartAt(cluster.serverById(id))
      },
    })
    await expect(running).rejects.toThrow('Stopped')
    expect(acts).toEqual(['restarted 7003'])
  })
})

describe('a roll ends at the first node', () => {
  it.each<{name: string; back: (server: FakeServer, cluster: FakeCluster) => void; says: RegExp}>([
    {name: 'that was not restarted', back: () => {}, says: /it is the same process as before/},
    {
      name: 'that does not come back',
      back: (server) => {
        server.down = 'refused'
      },
      says: /was not back and in sync within 1 s: .* is down$/,
    },
    {
      name: 'that comes back under another ID',
      back: (server, cluster) => {
        server.down = 'refused'
        setTimeout(() => {
          server.reset(cluster.freshId())
          server.down = undefined
        }, 200)
      },
      says: /was not back .* was expected$/,
    },
    {
      name: 'whose link does not come up',
      back: (server) => {
        restartAt(server)
        server.infoOverrides = {isPrimaryLinkUp: false}
      },
      says: /it has no link to its primary yet$/,
    },
    {
      name: 'that does not catch up with what its primary has sent',
      back: (server, cluster) => {
        restartAt(server)
        server.infoOverrides = {replicationOffset: 10}
        cluster.server(0).infoOverrides = {replicationOffset: 11}
      },
      says: /it has not caught up with its primary$/,
    },
    {
      name: 'that loads its data for too long',
      back: (server) => {
        restartAt(server)
        server.infoOverrides = {isLoading: true}
      },
      says: /it is loading its data$/,
    },
    {
      name: 'during whose restart another node is lost',
      back: (server, cluster) => {
        restartAt(server)
        cluster.server(5).down = 'refused'
      },
      says: /node 10\.0\.0\.1:7005 .* cannot be reached/,
    },
  ])('$name', async ({back, says}) => {
    const cluster = new FakeCluster({replicas: 1})
    const {acts, run} = await trialOn(cluster)
    expect(await endOf(run({restart: async ({id}) => back(cluster.serverById(id), cluster)}))).toMatch(says)
    expect(acts).toEqual([])
  })

  it('that is back with another version than the one to come', async () => {
    const {run} = await trialOn(new FakeCluster({replicas: 1}), {untilVersion: '8.6'})
    expect(await endOf(run({untilVersion: '8.6'}))).toMatch(/is back as redis 7\.0\.15, and not as 8\.6$/)
  })

  it('whose command fails, telling what became of it', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const {run} = await trialOn(cluster)
    const restart = async ({id}: {id: NodeId}): Promise<void> => {
      cluster.serverById(id).down = 'refused'
      throw new InterruptedError('the command failed')
    }
    expect(await endOf(run({restart}))).toMatch(/^the command failed; it does not answer now: .* is down$/)
  })

  it('that somebody else has made a primary since the plan', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const {run} = await trialOn(cluster)
    cluster.swap(cluster.server(3))
    expect(await endOf(run())).toMatch(
      /7003 is not what it was when the plan was made: it is a primary with slots now$/,
    )
  })
})

describe('a primary without a replica', () => {
  const bare = {mayLeaveUnserved: true}

  it('that comes back without its keys ends the roll', async () => {
    const cluster = new FakeCluster()
    cluster.server(0).infoOverrides = {keysByDatabase: new Map([[0, 100]])}
    const {run} = await trialOn(cluster, bare)
    const restart = async ({id}: {id: NodeId}): Promise<void> => {
      restartAt(cluster.serverById(id))
      cluster.serverById(id).infoOverrides = {keysByDatabase: new Map([[0, 3]])}
    }
    expect(await endOf(run({restart}))).toMatch(/came back with 3 keys, and had 100 keys$/)
  })

  it('is only restarted where it writes its keys to a file', async () => {
    const cluster = new FakeCluster()
    cluster.server(0).infoOverrides = {keysByDatabase: new Map([[0, 100]])}
    const {session, plan} = await trialOn(cluster, bare)
    await expect(requireFiles(session, plan)).rejects.toThrow(/writes its keys to no file/)
    cluster.server(0).settings.set('save', '3600 1')
    await expect(requireFiles(session, plan)).resolves.toBeUndefined()
  })
})
