/** The genuine CLI and rcluster from the same start: what do fix, import and backup make of it? */
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {pictureOf} from '../support/cluster-picture.ts'
import {type Cli, genuineCli, oursAsCli} from '../support/genuine-cli.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, rawCommand, type ServerKind, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const ours = oursAsCli(rcluster)

interface Scene {
  readonly addresses: readonly string[]
  readonly ids: readonly string[]
  /** CLUSTER SETSLOT at the node of that place. */
  readonly setSlot: (place: number, slot: number, ...words: readonly string[]) => Promise<unknown>
  readonly moveKey: (from: number, to: number, slot: number) => Promise<unknown>
}

/** Three primaries; slots 100 to 106 of the first have a key each. Broken step by step, and mended after each. */
const damages: readonly {readonly name: string; readonly breakIt: (scene: Scene) => Promise<unknown>}[] = [
  {name: 'migrating only', breakIt: ({setSlot, ids}) => setSlot(0, 100, 'MIGRATING', ids[1]!)},
  {name: 'importing only', breakIt: ({setSlot, ids}) => setSlot(1, 101, 'IMPORTING', ids[0]!)},
  {
    name: 'both',
    breakIt: async ({setSlot, ids}) => {
      await setSlot(1, 102, 'IMPORTING', ids[0]!)
      await setSlot(0, 102, 'MIGRATING', ids[1]!)
    },
  },
  {
    name: 'both, and all keys have moved',
    breakIt: async ({setSlot, ids, moveKey}) => {
      await setSlot(1, 103, 'IMPORTING', ids[0]!)
      await setSlot(0, 103, 'MIGRATING', ids[1]!)
      await moveKey(0, 1, 103)
    },
  },
  {
    name: 'moved, assigned at the source only',
    breakIt: async ({setSlot, ids, moveKey}) => {
      await setSlot(1, 104, 'IMPORTING', ids[0]!)
      await setSlot(0, 104, 'MIGRATING', ids[1]!)
      await moveKey(0, 1, 104)
      await setSlot(0, 104, 'NODE', ids[1]!)
    },
  },
  {
    name: 'moved, assigned at the target only',
    breakIt: async ({setSlot, ids, moveKey}) => {
      await setSlot(1, 105, 'IMPORTING', ids[0]!)
      await setSlot(0, 105, 'MIGRATING', ids[1]!)
      await moveKey(0, 1, 105)
      await setSlot(1, 105, 'NODE', ids[1]!)
    },
  },
  {
    name: 'owned by nobody, with a key on one node',
    breakIt: ({addresses}) =>
      Promise.all(addresses.map((address) => rawCommand(address, ['CLUSTER', 'DELSLOTS', 106]))),
  },
]

forEachKind(
  'the cluster that the genuine fix makes',
  (kind) => {
    test('is ours, damage by damage', async () => {
      const [theirs, own] = await Promise.all([genuineCli(kind), ours].map((cli) => mend(kind, cli)))
      expect(own).toEqual(theirs)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

async function mend(kind: ServerKind, cli: Cli): Promise<unknown[]> {
  const servers = await startServers(kind, 3)
  try {
    const {addresses} = servers
    await rcluster.ok('--cluster-yes', '--cluster', 'create', ...addresses)
    await pictureOf(addresses)
    for (let slot = 100; slot <= 106; slot++) await rawCommand(addresses[0]!, ['SET', `{${tagForSlot(slot)}}`, 'v'])
    const ids = await Promise.all(addresses.map(async (at) => String(await rawCommand(at, ['CLUSTER', 'MYID']))))
    const scene: Scene = {
      addresses,
      ids,
      setSlot: (place, slot, ...words) => rawCommand(addresses[place]!, ['CLUSTER', 'SETSLOT', slot, ...words]),
      moveKey: (from, to, slot) =>
        rawCommand(addresses[from]!, ['MIGRATE', ...addresses[to]!.split(':'), `{${tagForSlot(slot)}}`, 0, 5000]),
    }
    const steps: unknown[] = []
    for (const {name, breakIt} of damages) {
      await breakIt(scene)
      const {code, stderr} = await cli(['--cluster', 'fix', addresses[0]!], {input: 'yes'})
      expect(`${name}: ${code} ${stderr}`).toBe(`${name}: 0 `)
      const nodes = await pictureOf(addresses)
      steps.push({name, nodes: nodes.map(({epoch, ...rest}) => rest)})
    }
    return steps
  } finally {
    await servers.stop()
  }
}

forEachKind(
  'what the genuine import and backup make',
  (kind) => {
    test('is ours: the same keys in the same places, the same source, the same files', async () => {
      const [theirs, own] = await Promise.all([genuineCli(kind), ours].map((cli) => fill(kind, cli)))
      expect(own).toEqual(theirs)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

async function fill(kind: ServerKind, cli: Cli): Promise<unknown> {
  const cluster = await startServers(kind, 3)
  const lone = await startServers(kind, 1, {config: {'cluster-enabled': 'no'}})
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-genuine-'))
  try {
    const {addresses} = cluster
    const [seed = ''] = addresses
    const [source = ''] = lone.addresses
    await rcluster.ok('--cluster-yes', '--cluster', 'create', ...addresses)
    await pictureOf(addresses)
    const lines: string[] = []
    const take = async (keys: number, ...more: readonly string[]): Promise<unknown> => {
      for (let n = 0; n < keys; n++) await rawCommand(source, ['SET', `key:${n}`, `value ${n}`])
      const {code, stderr, stdout} = await cli(['--cluster', 'import', seed, '--cluster-from', source, ...more])
      expect(`${code} ${stderr}`).toBe('0 ')
      const migrated = stdout.split('\n').filter((line) => line.startsWith('Migrating '))
      lines.push(...migrated.map((line) => line.replace(/:\d+: /, ': ')).sort())
      return [await rawCommand(source, ['DBSIZE']), (await pictureOf(addresses)).map(({keys: count}) => count)]
    }
    const counts = [await take(10, '--cluster-copy'), await take(20, '--cluster-replace')]
    const {code} = await cli(['--cluster', 'backup', seed, folder])
    const ids = await Promise.all(addresses.map(async (at) => String(await rawCommand(at, ['CLUSTER', 'MYID']))))
    const nameless = (text: string): string =>
      addresses.reduce(
        (said, address, place) =>
          said.replaceAll(ids[place]!, `node ${place}`).replaceAll(address.split(':')[1]!, `port ${place}`),
        text,
      )
    const nodes = JSON.parse(
      nameless(readFileSync(path.join(folder, 'nodes.json'), 'utf8')).replaceAll(/"port": port (\d)/g, '"port": $1'),
    ) as {
      name: string
    }[]
    return {
      counts,
      lines,
      code,
      files: readdirSync(folder).map(nameless).sort(),
      nodes: nodes.sort((a, b) => (a.name < b.name ? -1 : 1)),
    }
  } finally {
    rmSync(folder, {recursive: true, force: true})
    await cluster.stop()
    await lone.stop()
  }
}
