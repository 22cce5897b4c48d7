/** Clusters whose slots were broken in every way that operators meet, and how fix mends them. */
import {Redis} from 'ioredis'
import {afterAll, afterEach, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {openRcluster} from '../support/rcluster.ts'
import {
  eventually,
  forEachKind,
  rawCommand,
  type ServerKind,
  splitAddress,
  startServers,
  type TestServers,
} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const KEYS = 6

function keyOf(slot: number, n: number): string {
  return `{${tagForSlot(slot)}}${n}`
}

/** Three primaries, or three shards. */
class Scene {
  readonly servers: TestServers
  readonly members: readonly string[]
  readonly ids: readonly string[]

  constructor(servers: TestServers, ids: readonly string[]) {
    this.servers = servers
    this.members = servers.addresses
    this.ids = ids
  }

  at(index: number): string {
    return this.members[index] as string
  }

  id(index: number): string {
    return this.ids[index] as string
  }

  cluster(index: number, ...words: (string | number)[]): Promise<unknown> {
    return rawCommand(this.at(index), ['CLUSTER', ...words])
  }

  importing(slot: number, node: number, from: number): Promise<unknown> {
    return this.cluster(node, 'SETSLOT', slot, 'IMPORTING', this.id(from))
  }

  migrating(slot: number, node: number, to: number): Promise<unknown> {
    return this.cluster(node, 'SETSLOT', slot, 'MIGRATING', this.id(to))
  }

  assign(slot: number, node: number, owner: number): Promise<unknown> {
    return this.cluster(node, 'SETSLOT', slot, 'NODE', this.id(owner))
  }

  stable(slot: number, node: number): Promise<unknown> {
    return this.cluster(node, 'SETSLOT', slot, 'STABLE')
  }

  /** The first of the slot's keys. */
  async migrate(slot: number, from: number, to: number, keys: number, isCopying = false): Promise<void> {
    const {host, port} = splitAddress(this.at(to))
    const names = Array.from({length: keys}, (_, n) => keyOf(slot, n))
    const copy = isCopying ? ['COPY'] : []
    const reply = await rawCommand(this.at(from), ['MIGRATE', host, port, '', 0, 2000, ...copy, 'KEYS', ...names])
    expect(reply).toBe('OK')
  }

  /** As a move begins. */
  async open(slot: number): Promise<void> {
    await this.importing(slot, 1, 0)
    await this.migrating(slot, 0, 1)
  }

  async openHalfMoved(slot: number): Promise<void> {
    await this.open(slot)
    await this.migrate(slot, 0, 1, KEYS / 2)
  }
}

/** DEBUG is as servers have it: off. */
async function openScene(kind: ServerKind, replicas = 0): Promise<Scene> {
  const servers = await startServers(kind, 3 * (1 + replicas), {
    // Longer than any test: nobody is to fail over by itself.
    config: {'enable-debug-command': 'no', 'cluster-node-timeout': '60000'},
  })
  const members = servers.addresses
  await rcluster.ok('create', ...members, '--replicas', String(replicas), '--yes')
  const ids = await Promise.all(members.map(async (member) => String(await rawCommand(member, ['CLUSTER', 'MYID']))))
  return new Scene(servers, ids)
}

/** Without redirections: the answers of those primaries that serve the key. */
async function readEverywhere(scene: Scene, key: string): Promise<unknown[]> {
  const isRedirection = (reason: unknown): string => {
    if (/^(MOVED|ASK)/.test((reason as Error).message)) return 'elsewhere'
    throw reason
  }
  return Promise.all([0, 1, 2].map((node) => rawCommand(scene.at(node), ['GET', key]).catch(isRedirection)))
}

interface Break {
  readonly name: string
  readonly doIt: (scene: Scene, slot: number) => Promise<unknown>
  /** Index of the primary that has the slot afterwards. */
  readonly owner: number
}

const breaks: readonly Break[] = [
  {name: 'MIGRATING only', doIt: (scene, slot) => scene.migrating(slot, 0, 1), owner: 1},
  {name: 'IMPORTING only', doIt: (scene, slot) => scene.importing(slot, 1, 0), owner: 0},
  {name: 'both, no key moved', doIt: (scene, slot) => scene.open(slot), owner: 1},
  {name: 'both, half of the keys moved', doIt: (scene, slot) => scene.openHalfMoved(slot), owner: 1},
  {
    name: 'moved, and assigned at the source only',
    doIt: async (scene, slot) => {
      await scene.open(slot)
      await scene.migrate(slot, 0, 1, KEYS)
      await scene.assign(slot, 0, 1)
    },
    owner: 1,
  },
  {
    name: 'moved, and assigned at the target only',
    doIt: async (scene, slot) => {
      await scene.open(slot)
      await scene.migrate(slot, 0, 1, KEYS)
      await scene.assign(slot, 1, 1)
    },
    owner: 1,
  },
  {
    name: 'keys on both sides, as a MIGRATE that timed out leaves them',
    doIt: async (scene, slot) => {
      await scene.open(slot)
      await scene.migrate(slot, 0, 1, KEYS / 2, true)
    },
    owner: 1,
  },
  {
    name: 'only the target of a half moved slot is left marked',
    doIt: async (scene, slot) => {
      await scene.openHalfMoved(slot)
      await scene.stable(slot, 0)
    },
    owner: 1,
  },
  {
    name: 'STABLE at both ends of a half moved slot',
    doIt: async (scene, slot) => {
      await scene.openHalfMoved(slot)
      await scene.stable(slot, 0)
      await scene.stable(slot, 1)
    },
    owner: 0,
  },
  {
    name: 'two importers, the wrong one with keys',
    doIt: async (scene, slot) => {
      await scene.open(slot)
      await scene.importing(slot, 2, 0)
      await scene.migrate(slot, 0, 2, 2)
    },
    owner: 1,
  },
  {
    name: 'two importers of a slot that nobody migrates',
    doIt: async (scene, slot) => {
      await scene.importing(slot, 1, 0)
      await scene.importing(slot, 2, 0)
      await scene.migrate(slot, 0, 2, 2)
    },
    owner: 2,
  },
  // From here on nodes answer CLUSTERDOWN: those that need keys to be moved come first.
  {name: 'nobody claims it, one has its keys', doIt: (scene, slot) => scene.cluster(0, 'DELSLOTS', slot), owner: 0},
]

/** Keys of a slot on two nodes, with the slot closed. */
async function tearApart(scene: Scene, slot: number): Promise<void> {
  await scene.openHalfMoved(slot)
  await scene.stable(slot, 1)
  await scene.stable(slot, 0)
}

async function pipeline(address: string, commands: readonly (readonly (string | number)[])[]): Promise<void> {
  const client = new Redis({...splitAddress(address), protocol: 2, disableClientInfo: true})
  try {
    const batch = client.pipeline()
    for (const [name, ...words] of commands) batch.call(String(name), ...words)
    for (const [error] of (await batch.exec()) ?? []) if (error) throw error
  } finally {
    client.disconnect()
  }
}

forEachKind('fix', (kind) => {
  let scene: Scene
  afterEach(async () => {
    await scene.servers.stop()
  })

  test('mends slots that are open, doubted, uncovered and torn apart, all in one run', {timeout: 120_000}, async () => {
    scene = await openScene(kind)
    const slotOf = (index: number): number => 100 + 3 * index
    // Two more ways: nobody claims it and two have keys; a third node was given it while two have keys.
    const [unclaimed, usurped] = [slotOf(breaks.length), slotOf(breaks.length + 1)]
    const all = [...breaks.map((one, index) => ({...one, slot: slotOf(index)}))]
    for (const slot of [...all.map((one) => one.slot), unclaimed, usurped]) {
      for (let n = 0; n < KEYS; n++) await rawCommand(scene.at(0), ['SET', keyOf(slot, n), `value ${n}`])
    }
    await tearApart(scene, unclaimed)
    await tearApart(scene, usurped)
    for (const {doIt, slot} of all) await doIt(scene, slot)
    for (const node of [0, 1, 2]) await scene.cluster(node, 'DELSLOTS', unclaimed)
    for (const node of [0, 1, 2]) await scene.cluster(node, 'DELSLOTS', usurped)
    await scene.cluster(2, 'ADDSLOTS', usurped)
    await eventually('the others know who was given the slot', async () => {
      const slots = await Promise.all([0, 1].map((node) => scene.cluster(node, 'SLOTS')))
      return slots.every((reply) =>
        (reply as [number, number, [string, number, string]][]).some(
          ([start, end, [, , id]]) => start <= usurped && usurped <= end && id === scene.id(2),
        ),
      )
    })

    const planned = await rcluster.run(['fix', scene.at(0), '--dry-run', '--json'])
    expect(planned.code, planned.stdout).toBe(0)
    const fixed = await rcluster.run(['fix', scene.at(0), '--yes'])
    expect(fixed.code, `${fixed.stdout}\n${fixed.stderr}`).toBe(0)

    const expected = [
      ...all,
      {name: 'nobody claims it, two have keys', slot: unclaimed, owner: undefined},
      {name: 'a third node was given it', slot: usurped, owner: 2},
    ]
    for (const {name, slot, owner} of expected) {
      for (let n = 0; n < KEYS; n++) {
        const answers = await readEverywhere(scene, keyOf(slot, n))
        expect(
          answers.filter((answer) => answer !== 'elsewhere'),
          `${name}, key ${n}`,
        ).toEqual([`value ${n}`])
        if (owner !== undefined) expect(answers[owner], `${name}, key ${n}`).toBe(`value ${n}`)
      }
    }
    const sizes = await Promise.all([0, 1, 2].map((node) => rawCommand(scene.at(node), ['DBSIZE'])))
    expect(sizes.reduce<number>((sum, size) => sum + Number(size), 0)).toBe(KEYS * expected.length)
    expect((await rcluster.run(['check', scene.at(0)])).code).toBe(0)
    const again = await rcluster.ok('fix', scene.at(1), '--yes', '--search-multiple-owners')
    expect(again.stdout).toContain('Nothing to repair')
  })

  // Valkey gives such a slot to its importer as soon as the node that the mark names changes its slots.
  test('brings home keys behind a mark that names the wrong node, before anything moves', async () => {
    scene = await openScene(kind)
    const [astray, halfMoved] = [400, 500]
    for (const slot of [astray, halfMoved]) {
      for (let n = 0; n < KEYS; n++) await rawCommand(scene.at(0), ['SET', keyOf(slot, n), `value ${n}`])
    }
    await scene.importing(astray, 2, 1)
    await scene.migrate(astray, 0, 2, KEYS / 2)
    await scene.openHalfMoved(halfMoved)
    const fixed = await rcluster.run(['fix', scene.at(0), '--yes'])
    expect(fixed.code, `${fixed.stdout}\n${fixed.stderr}`).toBe(0)
    for (let n = 0; n < KEYS; n++) {
      expect(await readEverywhere(scene, keyOf(astray, n))).toEqual([`value ${n}`, 'elsewhere', 'elsewhere'])
      expect(await readEverywhere(scene, keyOf(halfMoved, n))).toEqual(['elsewhere', `value ${n}`, 'elsewhere'])
    }
  })

  test('does not decide between different values of a key, unless told how', async () => {
    scene = await openScene(kind)
    const [twin, other] = [200, 300]
    await tearApartWithTwin(scene, twin)
    await tearApartWithTwin(scene, other)
    const undecided = await rcluster.run(['fix', scene.at(0), '--yes'])
    expect(undecided.code, undecided.stderr).toBe(5)
    expect(undecided.stderr).toContain('has different values')
    expect(undecided.stderr).toContain('--on-conflict')
    expect(await rawCommand(scene.at(0), ['GET', keyOf(twin, 0)])).toBe('of the owner')
    await rcluster.ok('fix', scene.at(0), '--yes', '--on-conflict', 'source')
    for (const slot of [twin, other]) {
      expect((await readEverywhere(scene, keyOf(slot, 0))).filter((answer) => answer !== 'elsewhere')).toEqual([
        'astray',
      ])
    }
  })

  test('lets a replica take over from a dead primary, only when that is allowed', {timeout: 60_000}, async () => {
    scene = await openScene(kind, 1)
    for (let n = 0; n < 50; n++) await rawCommand(scene.at(0), ['SET', keyOf(n, 0), 'x'])
    // Not by WAIT, which counts replicas that have what its own connection wrote.
    await eventually('a replica has them all', async () => {
      const sizes = await Promise.all(scene.members.slice(3).map((member) => rawCommand(member, ['DBSIZE'])))
      return sizes.includes(50)
    })
    await scene.servers.kill(0)
    const refused = await rcluster.run(['fix', scene.at(1), '--yes'])
    expect(refused.code, refused.stderr).toBe(3)
    expect(refused.stderr).toContain('--allow disruptive')
    const fixed = await rcluster.run(['fix', scene.at(1), '--yes', '--allow', 'disruptive'])
    expect(fixed.code, `${fixed.stdout}\n${fixed.stderr}`).toBe(0)
    const heirs = await Promise.all(scene.members.slice(3).map((member) => rawCommand(member, ['ROLE'])))
    const heir = scene.at(3 + heirs.findIndex((role) => (role as [string])[0] === 'master'))
    for (let n = 0; n < 50; n++) expect(await rawCommand(heir, ['GET', keyOf(n, 0)])).toBe('x')
  })

  test('gives up the slots of a primary that is lost, only when the loss is accepted', async () => {
    scene = await openScene(kind)
    await scene.servers.kill(2)
    const refused = await rcluster.run(['fix', scene.at(0), '--yes'])
    expect(refused.code, refused.stderr).toBe(3)
    expect(refused.stderr).toContain('--accept-data-loss 10923-16383')
    const fixed = await rcluster.run(['fix', scene.at(0), '--yes', '--accept-data-loss', '10923-16383'])
    expect(fixed.code, `${fixed.stdout}\n${fixed.stderr}`).toBe(0)
    const slots = (await scene.cluster(0, 'SLOTS')) as [number, number, [string, number, string]][]
    const shares = new Map<string, number>()
    for (const [start, end, [, , id]] of slots) shares.set(id, (shares.get(id) ?? 0) + end - start + 1)
    expect([...shares.values()]).toEqual([8192, 8192])
    // The first primary's next range is not beside its own.
    expect(slots).toHaveLength(3)
  })

  test('finishes a thousand open slots with 40,000 keys in seconds', {timeout: 120_000}, async () => {
    scene = await openScene(kind)
    const slots = Array.from({length: 1000}, (_, slot) => slot)
    const valuesOf = (slot: number) => Array.from({length: 40}, (_, n) => [keyOf(slot, n), `v${n}`]).flat()
    await pipeline(
      scene.at(0),
      slots.map((slot) => ['MSET', ...valuesOf(slot)]),
    )
    await pipeline(
      scene.at(1),
      slots.map((slot) => ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', scene.id(0)]),
    )
    await pipeline(
      scene.at(0),
      slots.map((slot) => ['CLUSTER', 'SETSLOT', slot, 'MIGRATING', scene.id(1)]),
    )
    for (let slot = 0; slot < 100; slot++) await scene.migrate(slot, 0, 1, 10, slot % 2 === 0)
    const startedAt = performance.now()
    const fixed = await rcluster.ok('fix', scene.at(0), '--yes')
    const elapsedMs = performance.now() - startedAt
    if (process.env['RCLUSTER_TEST_TIMES']) console.log(`${kind.name}: ${Math.round(elapsedMs)} ms\n${fixed.stdout}`)
    expect(elapsedMs).toBeLessThan(60_000)
    expect([await rawCommand(scene.at(0), ['DBSIZE']), await rawCommand(scene.at(1), ['DBSIZE'])]).toEqual([0, 40_000])
    expect((await rcluster.run(['check', scene.at(0)])).code).toBe(0)
  })
})

/** The owner and another node have the first key with different values. */

// Redis's replicas have no marks.
forEachKind(
  'fix on replicas that keep marks',
  (kind) => {
    let scene: Scene
    afterEach(async () => {
      await scene?.servers.stop()
    })

    test('takes away a mark that came with a snapshot and was closed while that was on its way', async () => {
      scene = await openScene(kind, 1)
      const [slot, primary, replica] = [9000, scene.at(0), scene.at(3)]
      const settings = ['repl-diskless-sync-delay', '0', 'rdb-key-save-delay', '20000', 'repl-backlog-size', '16384']
      await rawCommand(primary, ['CONFIG', 'SET', ...settings])
      await scene.importing(slot, 0, 1)
      await scene.servers.kill(3)
      // More than the backlog holds, so that the replica needs all data anew.
      const values = Array.from({length: 60}, (_, n) => ['SET', keyOf(0, n), 'x'.repeat(1000)])
      await pipeline(primary, values)
      await scene.servers.restart(3)
      await eventually('the snapshot is taken', async () => {
        return String(await rawCommand(primary, ['INFO', 'persistence'])).includes('rdb_bgsave_in_progress:1')
      })
      await scene.stable(slot, 0)
      await eventually('the replica has its data', async () => {
        return String(await rawCommand(replica, ['INFO', 'replication'])).includes('master_link_status:up')
      })
      const marks = async (): Promise<string> => String(await rawCommand(replica, ['CLUSTER', 'NODES']))
      expect(await marks()).toContain(`[${slot}-<-`)
      const {code, stdout} = await rcluster.run(['check', primary])
      expect([code, stdout]).toEqual([1, expect.stringContaining('[stale-mark]')])
      await rcluster.ok('fix', primary, '--yes')
      expect(await marks()).not.toContain('[')
      await rcluster.ok('check', primary)
    })
  },
  ['valkey-8.1', 'valkey-9.1'],
)

async function tearApartWithTwin(scene: Scene, slot: number): Promise<void> {
  await rawCommand(scene.at(0), ['SET', keyOf(slot, 0), 'astray'])
  await scene.importing(slot, 1, 0)
  await scene.migrating(slot, 0, 1)
  await scene.migrate(slot, 0, 1, 1, true)
  await scene.stable(slot, 1)
  await scene.stable(slot, 0)
  await rawCommand(scene.at(0), ['SET', keyOf(slot, 0), 'of the owner'])
}
