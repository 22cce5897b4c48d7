/** Keys so big that their move stalls a node: announced, left where they are if wanted, and never left half way. */
import {afterAll, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {openRcluster} from '../support/rcluster.ts'
import {anyKind, eventually, forEachKind, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const FILL_HASH = `for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], 'member:' .. i, i) end`
/** Redis says nothing to others meanwhile; our own commands wait longer than a client would. */
const PATIENCE = {timeoutMs: 60_000}

async function fillHash(address: string, key: string, fields: number): Promise<void> {
  await rawCommand(address, ['EVAL', FILL_HASH, 1, key, fields], PATIENCE)
}

async function digest(address: string, key: string): Promise<unknown> {
  return String(await rawCommand(address, ['DEBUG', 'DIGEST-VALUE', key], PATIENCE))
}

async function keysIn(address: string, slot: number): Promise<number> {
  return Number(await rawCommand(address, ['CLUSTER', 'COUNTKEYSINSLOT', slot], PATIENCE))
}

forEachKind('big keys', (kind) => {
  test('are named in the plan, stay with --skip-big, and arrive whole', async () => {
    const servers = await startServers(kind, 3, {config: {'cluster-node-timeout': '15000'}})
    try {
      const [a = '', b = ''] = servers.addresses
      await rcluster.ok('create', ...servers.addresses, '--yes')
      const hash = `{${tagForSlot(1)}}hash`
      const text = `{${tagForSlot(2)}}text`
      await fillHash(a, hash, 200_000)
      await rawCommand(a, ['SETRANGE', text, 20 * 2 ** 20, 'end'])
      for (let n = 0; n < 20; n++) await rawCommand(a, ['SET', `{${tagForSlot(n % 4)}}${n}`, `small ${n}`])
      const before = [await digest(a, hash), await digest(a, text)]
      const reshard = ['reshard', a, '--from', a, '--to', b, '--slots-list', '0-3', '--mover', 'migrate']

      const planned = await rcluster.ok(...reshard, '--dry-run')
      expect(planned.stdout).toContain('2 keys are big.')
      expect(planned.stdout).toContain(`"${hash}" (slot 1, hash, `)
      expect(planned.stdout).toContain(`"${text}" (slot 2, string, `)

      const skipping = await rcluster.ok(...reshard, '--skip-big', '4mb', '--yes')
      expect(skipping.stdout).toContain('2 slots stay')
      expect(skipping.stdout).toContain('Moved 2 slots with 10 keys')
      expect([await keysIn(b, 0), await keysIn(b, 1), await keysIn(b, 2), await keysIn(b, 3)]).toEqual([5, 0, 0, 5])

      const stayed = await rcluster.ok(...reshard, '--skip-big', '4mb', '--yes')
      expect(stayed.stdout).toContain('No slot moves.')

      const moved = await rcluster.ok(...reshard, '--yes')
      expect(moved.stdout).toContain('Moved 2 slots with 12 keys')
      expect([await digest(b, hash), await digest(b, text)]).toEqual(before)
      expect([await keysIn(a, 1), await keysIn(a, 2)]).toEqual([0, 0])
      await rcluster.ok('check', a)
    } finally {
      await servers.stop()
    }
  })
})

test('a key whose move lasts longer than cluster-node-timeout is warned of, and arrives all the same', async () => {
  const servers = await startServers(anyKind(), 3, {config: {'cluster-node-timeout': '1000'}})
  try {
    const [a = '', b = ''] = servers.addresses
    await rcluster.ok('create', ...servers.addresses, '--yes')
    const hash = `{${tagForSlot(1)}}hash`
    await fillHash(a, hash, 1_000_000)
    const before = await digest(a, hash)
    const moved = await rcluster.ok(
      ...['reshard', a, '--from', a, '--to', b, '--slots-list', '1', '--mover', 'migrate', '--yes'],
    )
    expect(`${moved.stdout}${moved.stderr}`.replace(/\s+/g, ' ')).toContain('more than half of cluster-node-timeout')
    expect(await digest(b, hash)).toBe(before)
    expect([await keysIn(a, 1), await keysIn(b, 1)]).toEqual([0, 1])
    // The target was taken for failed meanwhile.
    await eventually('all nodes are well again', async () => (await rcluster.run(['check', a])).code === 0)
  } finally {
    await servers.stop()
  }
})

test('a target that is silent for longer than MIGRATE waits leaves no half-moved slot', async () => {
  const servers = await startServers(anyKind('redis'), 3, {config: {'cluster-node-timeout': '15000'}})
  try {
    const [a = '', b = ''] = servers.addresses
    await rcluster.ok('create', ...servers.addresses, '--yes')
    const key = `{${tagForSlot(1)}}text`
    await rawCommand(a, ['SETRANGE', key, 6 * 2 ** 20, 'end'])
    const before = await digest(a, key)
    // Open already, so that no trial of the way meets the pause.
    const [idOfA, idOfB] = [await rawCommand(a, ['CLUSTER', 'MYID']), await rawCommand(b, ['CLUSTER', 'MYID'])]
    await rawCommand(b, ['CLUSTER', 'SETSLOT', 1, 'IMPORTING', String(idOfA)])
    await rawCommand(a, ['CLUSTER', 'SETSLOT', 1, 'MIGRATING', String(idOfB)])
    const pauseMs = 8000
    const pausedAt = performance.now()
    await rawCommand(b, ['CLIENT', 'PAUSE', pauseMs, 'WRITE'])
    await rcluster.ok('reshard', a, '--from', a, '--to', b, '--slots-list', '1', '--mover', 'migrate', '--yes')
    expect(performance.now() - pausedAt).toBeGreaterThan(pauseMs)
    expect(await digest(b, key)).toBe(before)
    expect([await keysIn(a, 1), await keysIn(b, 1)]).toEqual([0, 1])
    await rcluster.ok('check', a)
  } finally {
    await servers.stop()
  }
})
