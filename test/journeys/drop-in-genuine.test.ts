/** The genuine CLI and rcluster from the same start: what do they make of it? A table, a row a subcommand. */
import {afterAll, describe, expect, test} from 'vitest'
import {type NodePicture, pictureOf} from '../support/cluster-picture.ts'
import {type Cli, genuineCli, oursAsCli} from '../support/genuine-cli.ts'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, type ServerKind, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const ours = oursAsCli(rcluster)

interface Row {
  readonly name: string
  readonly nodes: number
  /** How many of the first nodes are a cluster at the start, and with how many replicas each. */
  readonly formed?: readonly [nodes: number, replicas: number]
  readonly args: (addresses: readonly string[], ids: readonly string[]) => readonly string[]
  /** Where redis-cli chooses at random. */
  readonly anyPrimary?: boolean
  /** The place of a node that leaves: what it is then is its own affair. We give it a new ID and epoch 0. */
  readonly leaves?: number
  readonly only?: 'valkey'
}

const rows: readonly Row[] = [
  {name: 'create', nodes: 3, args: (nodes) => ['create', ...nodes]},
  {
    name: 'create with replicas',
    nodes: 6,
    args: (nodes) => ['create', ...nodes, '--cluster-replicas', '1'],
    anyPrimary: true,
  },
  {
    name: 'create with an extra replica',
    nodes: 7,
    args: (nodes) => ['create', '--cluster-replicas', '1', ...nodes],
    anyPrimary: true,
  },
  {name: 'create of two', nodes: 2, args: (nodes) => ['create', ...nodes], only: 'valkey'},
  {name: 'add-node', nodes: 4, formed: [3, 0], args: ([a = '', , , d = '']) => ['add-node', d, a]},
  {
    name: 'add-node as a replica of a given primary',
    nodes: 4,
    formed: [3, 0],
    args: ([a = '', , , d = ''], [, b = '']) => ['add-node', d, a, '--cluster-slave', '--cluster-master-id', b],
  },
  {
    name: 'add-node as a replica',
    nodes: 4,
    formed: [3, 0],
    args: ([a = '', , , d = '']) => ['add-node', d, a, '--cluster-slave'],
    anyPrimary: true,
  },
  {name: 'set-timeout', nodes: 3, formed: [3, 0], args: ([a = '']) => ['set-timeout', a, '2345']},
  {name: 'call', nodes: 3, formed: [3, 0], args: ([a = '']) => ['call', a, 'FLUSHALL']},
  {
    name: 'call of primaries',
    nodes: 6,
    formed: [6, 1],
    args: ([a = '']) => ['call', a, 'CONFIG', 'SET', 'cluster-node-timeout', '3456', '--cluster-only-masters'],
    anyPrimary: true,
  },
  {
    name: 'del-node of a replica',
    nodes: 6,
    formed: [6, 1],
    args: ([a = ''], ids) => ['del-node', a, ids[5] ?? ''],
    leaves: 5,
    anyPrimary: true,
  },
]

forEachKind(
  'the same cluster as the genuine CLI',
  (kind) => {
    // Most of their time is the genuine CLI's sleeps.
    test.concurrent.each(rows.filter(({only}) => only === undefined || only === kind.family))('$name', async (row) => {
      const [theirs, own] = await Promise.all([genuineCli(kind), ours].map((cli) => outcomeOf(row, kind, cli)))
      expect(own).toEqual(theirs)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

async function outcomeOf(row: Row, kind: ServerKind, cli: Cli): Promise<unknown> {
  const servers = await startServers(kind, row.nodes)
  try {
    const {addresses} = servers
    const [formed = 0, replicas = 0] = row.formed ?? []
    if (formed > 0) {
      const nodes = addresses.slice(0, formed)
      await rcluster.ok('--cluster-yes', '--cluster', 'create', ...nodes, '--cluster-replicas', String(replicas))
      await pictureOf(nodes)
      for (let n = 0; n < 60; n++) await set(nodes, `key:${n}`)
    }
    const ids = await Promise.all(
      addresses.map(async (address) => String(await rawCommand(address, ['CLUSTER', 'MYID']))),
    )
    const {code, stdout, stderr} = await cli(['--cluster-yes', '--cluster', ...row.args(addresses, ids)])
    expect(`${code} ${stderr} ${stdout.slice(-500)}`).toMatch(/^0 /)
    return await settled(row.leaves === undefined ? addresses : addresses.toSpliced(row.leaves, 1), row)
  } finally {
    await servers.stop()
  }
}

/** redis-cli returns before all is as it will be: looked at until nothing changes for a while. */
async function settled(addresses: readonly string[], row: Row): Promise<unknown> {
  let last = ''
  let since = Date.now()
  let picture: readonly NodePicture[] = []
  await eventually('nothing changes any more', async () => {
    picture = await pictureOf(addresses)
    const text = JSON.stringify(picture)
    if (text !== last) since = Date.now()
    last = text
    const haveAllMet = picture.every(({knows}) => knows.length === picture.length)
    return haveAllMet && Date.now() - since > 1000
  })
  if (!row.anyPrimary) return picture
  const followers = picture.map((_, place) => picture.filter(({follows}) => follows === place).length).sort()
  return {
    followers,
    nodes: picture.map(({follows, keys, epoch, ...rest}) =>
      follows === undefined ? {...rest, keys, epoch} : {...rest, isReplica: true},
    ),
  }
}

/** On whichever node takes it. */
async function set(addresses: readonly string[], key: string): Promise<void> {
  for (const address of addresses) {
    const reply = await rawCommand(address, ['SET', key, 'value']).catch(() => undefined)
    if (reply === 'OK') return
  }
  throw new Error(`nobody took ${key}`)
}

describe('the same words on the same cluster', () => {
  forEachKind(
    'check, info and call',
    (kind) => {
      test('are word for word the same', async () => {
        const servers = await startServers(kind, 6)
        try {
          const [a = ''] = servers.addresses
          await rcluster.ok('--cluster-yes', '--cluster', 'create', ...servers.addresses, '--cluster-replicas', '1')
          await pictureOf(servers.addresses)
          for (const words of [
            ['check', a],
            ['check', a, '--cluster-search-multiple-owners'],
            ['info', a],
            ['check', a.split(':')[0] ?? '', a.split(':')[1] ?? ''],
            ['call', a, 'CONFIG', 'GET', 'maxmemory*'],
            ['call', a, 'ECHO', 'a\n"b"\n', '--cluster-only-replicas'],
          ]) {
            const theirs = await genuineCli(kind)(['--cluster', ...words])
            const own = await ours(['--cluster', ...words])
            expect(own).toEqual(theirs)
          }
        } finally {
          await servers.stop()
        }
      })
    },
    ['redis-7.0', 'valkey-9.1'],
  )
})
