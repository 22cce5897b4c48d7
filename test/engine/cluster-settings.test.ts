import {describe, expect, it} from 'vitest'
import {chooseNodes} from '../../src/lib/engine/asked-nodes.ts'
import {planSettings, setSettings} from '../../src/lib/engine/cluster-settings.ts'
import {type ClusterSession, openSession} from '../../src/lib/engine/session.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

const NAME = 'cluster-allow-replica-migration'

async function ready(): Promise<{cluster: FakeCluster; session: ClusterSession}> {
  const cluster = new FakeCluster()
  const session = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  return {cluster, session}
}

async function change(session: ClusterSession, value: string, name = NAME): ReturnType<typeof setSettings> {
  const wanted = chooseNodes(session).map((node) => ({node, name, value}))
  return setSettings(session, await planSettings(session, wanted))
}

describe('a setting', () => {
  it('is set on all nodes and read again', async () => {
    const {cluster, session} = await ready()
    const outcome = await change(session, 'no')
    expect(outcome).toMatchObject({kind: 'set', settings: [{after: 'no'}, {after: 'no'}, {after: 'no'}]})
    expect(cluster.servers.map(({settings}) => settings.get(NAME))).toEqual(['no', 'no', 'no'])
  })

  it('that all have is not written', async () => {
    const {cluster, session} = await ready()
    cluster.script.failWhen(({kind}) => (kind === 'writeConfig' ? {when: 'before', failure: 'rejected'} : undefined))
    expect(await change(session, 'YES')).toMatchObject({kind: 'set'})
  })

  it.each([1, 2, 3])('that node %i refuses is what it was on all', async (position) => {
    const {cluster, session} = await ready()
    const culprit = cluster.server(position - 1).id
    cluster.script.failWhen(({kind, text, at: node}) =>
      kind === 'writeConfig' && node === culprit && text === `${NAME} no`
        ? {when: 'before', failure: 'rejected'}
        : undefined,
    )
    const outcome = await change(session, 'no')
    expect(outcome.kind).toBe('put-back')
    expect(cluster.servers.map(({settings}) => settings.get(NAME))).toEqual(['yes', 'yes', 'yes'])
  })

  it('of a node that falls silent is told as not known, and the others have what they had', async () => {
    const {cluster, session} = await ready()
    const culprit = cluster.server(1)
    let isSilent = false
    cluster.script.failWhen(({kind, at: node}) => {
      if (node !== culprit.id) return undefined
      isSilent ||= kind === 'writeConfig'
      return isSilent ? {when: kind === 'writeConfig' ? 'after' : 'before', failure: 'timeout'} : undefined
    })
    const outcome = await change(session, 'no')
    expect(outcome).toMatchObject({kind: 'mixed', stuck: [{node: {id: culprit.id}, name: NAME, before: 'yes'}]})
    expect([0, 2].map((index) => cluster.server(index).settings.get(NAME))).toEqual(['yes', 'yes'])
  })

  it('that no server has is refused before anything is written', async () => {
    const {session} = await ready()
    await expect(change(session, '1', 'no-such')).rejects.toMatchObject({exitCode: 2})
  })
})
