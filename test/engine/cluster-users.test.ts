import {describe, expect, it} from 'vitest'
import {chooseNodes} from '../../src/lib/engine/asked-nodes.ts'
import {deleteUser, readUsers, rulesAt, setUser} from '../../src/lib/engine/cluster-users.ts'
import {type ClusterSession, openSession} from '../../src/lib/engine/session.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {toldValue} from '../../src/lib/topology/node-details.ts'
import {passwordRule} from '../../src/lib/topology/user-rules.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

async function ready(): Promise<{cluster: FakeCluster; session: ClusterSession}> {
  const cluster = new FakeCluster()
  const session = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  return {cluster, session}
}

const RULES = ['reset', 'on', '~app:*', '+@read', passwordRule('open sesame')]

describe('a user', () => {
  it('is set on all nodes, by the hash of its password, and leaves again as a digest', async () => {
    const {cluster, session} = await ready()
    const nodes = chooseNodes(session)
    const outcomes = await setUser(session, nodes, 'app', RULES)
    expect(outcomes.map(({failure}) => failure)).toEqual([undefined, undefined, undefined])
    const hash = passwordRule('open sesame').slice(1)
    expect(cluster.server(2).users.get('app')).toContain(hash)
    const sketches = (await readUsers(session, nodes)).map(({users}) => toldValue(users)?.get('app'))
    expect(new Set(sketches.map((user) => user?.digest)).size).toBe(1)
    expect(JSON.stringify(sketches)).not.toContain(hash.slice(0, 12))
  })

  it('that the first node refuses reaches no other', async () => {
    const {cluster, session} = await ready()
    cluster.script.failWhen(({kind}) => (kind === 'setUser' ? {when: 'before', failure: 'rejected'} : undefined))
    await expect(setUser(session, chooseNodes(session), 'app', RULES)).rejects.toThrow(NodeError)
    expect(cluster.servers.some(({users}) => users.has('app'))).toBe(false)
  })

  it('is told for each node that has it not, or otherwise', async () => {
    const {cluster, session} = await ready()
    const nodes = chooseNodes(session)
    const [first, second, third] = nodes.map(({id}) => cluster.servers.find((server) => server.id === id)!)
    second!.users.set('app', 'on nopass')
    cluster.script.failWhen(({kind, at: node}) =>
      kind === 'setUser' && node === third!.id ? {when: 'before', failure: 'permission'} : undefined,
    )
    // On top of what each has.
    const outcomes = await setUser(session, nodes, 'app', ['+get'])
    expect(first!.users.get('app')).toBe('off +get')
    expect(outcomes.map(({failure}) => failure)).toEqual([
      undefined,
      expect.stringMatching(/has other rules or passwords of app than/),
      expect.any(String),
    ])
  })

  it('is copied as it is, and deleted everywhere', async () => {
    const {cluster, session} = await ready()
    const nodes = chooseNodes(session)
    const [source, ...others] = nodes
    const holder = cluster.servers.find(({id}) => id === source!.id)!
    holder.users.set('app', 'on #aa ~app:* +get')
    expect(await rulesAt(session, source!, 'nobody')).toBeUndefined()
    await setUser(session, others, 'app', (await rulesAt(session, source!, 'app')) ?? [])
    expect(cluster.servers.map(({users}) => users.get('app'))).toEqual(Array(3).fill('on #aa ~app:* +get'))
    const gone = await deleteUser(session, nodes, 'app')
    expect(gone.every(({failure}) => failure === undefined)).toBe(true)
    expect(cluster.servers.some(({users}) => users.has('app'))).toBe(false)
  })
})
