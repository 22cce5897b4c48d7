/** What the engine may rely on, held against the fake and every server: else its tests on the fake prove nothing. */
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import type {MigrateRequest, NodePort, SerialisedKey} from '../../src/lib/engine/cluster-port.ts'
import {showsRoles} from '../../src/lib/engine/membership.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {readRdb} from '../../src/lib/rdb/parse-rdb.ts'
import type {RdbItem} from '../../src/lib/rdb/rdb-items.ts'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {countSlots, parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import {parseUserLine} from '../../src/lib/topology/user-rules.ts'
import {eventually} from '../support/servers.ts'
import {agreed, busPort, form, self} from './forming.ts'
import {forEachTerrain, type Ground} from './terrains.ts'

const NOBODY = 'f'.repeat(40)

/** What the call fails with: [failure, isFromTarget]. */
async function failureOf(call: Promise<unknown>): Promise<[string, boolean]> {
  const error = await call.then(
    () => 'no failure',
    (reason: unknown) => reason,
  )
  if (!(error instanceof NodeError)) throw new Error(`not a NodeError: ${String(error)}`)
  return [error.failure, error.isFromTarget]
}

function keyOf(slot: number, tail: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`{${tagForSlot(slot)}}`), Buffer.from(tail)])
}

forEachTerrain('slots of a node', ({open, hasSlotStats}) => {
  let ground: Ground
  let source: NodePort
  let target: NodePort
  beforeAll(async () => {
    ground = await open(3)
    ;[source, target] = ground.nodes as [NodePort, NodePort]
    await form(ground)
  })
  afterAll(async () => {
    await ground.stop()
  })
  const openSlot = async (slot: number): Promise<void> => {
    await target.setImporting(slot, source.id)
    await source.setMigrating(slot, target.id)
  }
  const request = (keys: readonly Buffer[], more: Partial<MigrateRequest> = {}): MigrateRequest => ({
    target: target.address,
    targetLogin: undefined,
    keys,
    database: 0,
    timeoutMs: 2000,
    isReplacing: false,
    ...more,
  })

  it('finds nothing forbidden to a user who may do all, and changes nothing by asking', async () => {
    const before = (await source.readView()).entries
    const right = '+cluster|setslot'
    const words = ['CLUSTER', 'SETSLOT', '0', 'STABLE']
    const harmless = ['CLUSTER', 'SETSLOT', '-1', 'STABLE']
    expect(await source.findForbidden([{right, words, harmless}])).toEqual({user: 'default', forbidden: []})
    expect(await source.findForbidden([])).toEqual({user: 'default', forbidden: []})
    expect(await source.findForbidden([{right, words}], 'nobody')).toEqual({user: 'nobody', forbidden: []})
    expect((await source.readView()).entries).toEqual(before)
  })

  it('tells who is who', async () => {
    const view = await source.readView()
    expect(view).toMatchObject({
      id: source.id,
      dialled: source.address,
      clusterInfo: {state: 'ok', knownNodes: 3, myEpoch: 1},
      serverInfo: {isClusterEnabled: true, isLoading: false},
    })
    expect(view.entries.map(({id}) => id).sort()).toEqual(ground.nodes.map(({id}) => id).sort())
    expect(view.entries.filter(({isMyself}) => isMyself).map(({id}) => id)).toEqual([source.id])
    const other = view.entries.find(({id}) => id === target.id)
    expect(other).toMatchObject({
      announced: target.address,
      busPort: busPort(target),
      role: 'primary',
      primaryId: undefined,
      configEpoch: 2,
      isLinked: true,
      migrating: [],
      importing: [],
    })
    expect(other && countSlots(other.ranges)).toBe(5462)
    expect(await source.readClusterInfo()).toEqual(view.clusterInfo)
    const {clusterInfo, serverInfo} = await source.readVitals()
    expect(clusterInfo).toEqual(view.clusterInfo)
    expect(serverInfo.version).toBe(view.serverInfo.version)
  })

  it('marks a slot at the node that is told, and takes the mark away again', async () => {
    await openSlot(10)
    expect(await self(target)).toMatchObject({importing: [{slot: 10, peer: source.id}], migrating: []})
    expect(await self(source)).toMatchObject({importing: [], migrating: [{slot: 10, peer: target.id}]})
    await Promise.all([source.setStable(10), target.setStable(10)])
    expect(await self(target)).toMatchObject({importing: []})
    expect(await self(source)).toMatchObject({migrating: []})
  })

  it('refuses marks that make no sense', async () => {
    expect(await failureOf(target.setMigrating(10, source.id))).toEqual(['moved', false])
    expect(await failureOf(source.setImporting(10, target.id))).toEqual(['moved', false])
    expect(await failureOf(source.setMigrating(10, NOBODY))).toEqual(['unknown-node', false])
    expect(await failureOf(target.setImporting(10, NOBODY))).toEqual(['unknown-node', false])
    expect(await failureOf(target.assignSlot(10, NOBODY))).toEqual(['unknown-node', false])
  })

  it('does not give away a slot that holds keys', async () => {
    await ground.set(0, keyOf(11, 'a'), 'x')
    expect(await failureOf(source.assignSlot(11, target.id))).toEqual(['keys-left', false])
    expect(await source.countKeys(11, 0)).toBe(1)
  })

  it('tells the load of its own slots, as far as it measures that', async () => {
    await ground.set(0, keyOf(41, 'a'), 'x')
    await ground.set(0, keyOf(41, 'b'), 'x')
    if (!hasSlotStats) {
      expect(await source.readSlotStats({start: 41, end: 42})).toBeUndefined()
      return
    }
    const unmeasured = {memoryBytes: undefined, cpuMicroseconds: undefined, networkBytes: undefined}
    expect(await source.readSlotStats({start: 41, end: 42})).toEqual([
      {slot: 41, keys: 2, ...unmeasured},
      {slot: 42, keys: 0, ...unmeasured},
    ])
    expect(await source.readSlotStats({start: 16_000, end: 16_383})).toEqual([])
    expect((await target.readSlotStats({start: 0, end: 16_383}))?.length).toBe(5462)
  })

  it('moves keys with their value, their life and every byte of their name', async () => {
    const plain = keyOf(12, 'plain')
    const binary = keyOf(12, Buffer.from([0x00, 0xff, 0x0d, 0x0a, 0xc3, 0x28]))
    await ground.set(0, plain, 'lives on')
    await ground.set(0, binary, 'goes', {ttlMs: 60_000})
    await openSlot(12)
    expect((await source.listKeys(12, 10, 0)).sort(Buffer.compare)).toEqual([plain, binary].sort(Buffer.compare))
    expect(await source.listKeys(12, 1, 0)).toHaveLength(1)
    const [before, dying] = await Promise.all([source.dumpKey(plain, 0), source.dumpKey(binary, 0)])
    expect(before?.ttlMs).toBeUndefined()
    expect(await source.migrateKeys(request([plain, binary]))).toBe('moved')
    expect([await source.countKeys(12, 0), await target.countKeys(12, 0)]).toEqual([0, 2])
    expect((await target.listKeys(12, 10, 0)).sort(Buffer.compare)).toEqual([plain, binary].sort(Buffer.compare))
    expect(await target.dumpKey(plain, 0)).toEqual(before)
    const after = await target.dumpKey(binary, 0)
    expect(after?.payload).toEqual(dying?.payload)
    expect(after?.ttlMs).toBeGreaterThan(50_000)
  })

  it('sends on who asks a migrating source for a key that has gone', async () => {
    await openSlot(13)
    expect(await failureOf(source.dumpKey(keyOf(13, 'gone'), 0))).toEqual(['ask', false])
    expect(await target.dumpKey(keyOf(13, 'gone'), 0)).toBeUndefined()
    expect(await failureOf(ground.nodes[2]!.dumpKey(keyOf(13, 'gone'), 0))).toEqual(['moved', false])
  })

  it('measures keys, and says so of those that are gone', async () => {
    await ground.set(0, keyOf(14, 'here'), 'x'.repeat(1000))
    for (const mark of [false, true]) {
      if (mark) await openSlot(14)
      const [here, gone] = await source.measureKeys([keyOf(14, 'here'), keyOf(14, 'gone')], 0)
      expect(here).toBeGreaterThan(1000)
      expect(gone).toBeUndefined()
    }
  })

  it('counts keys that are gone as none, and moves the others of a list', async () => {
    await ground.set(0, keyOf(15, 'here'), 'x')
    await openSlot(15)
    expect(await source.migrateKeys(request([keyOf(15, 'gone')]))).toBe('none')
    expect(await source.migrateKeys(request([keyOf(15, 'gone'), keyOf(15, 'here')]))).toBe('moved')
    expect(await source.countKeys(15, 0)).toBe(0)
  })

  it('moves all keys but those that the target has, unless it is to replace them', async () => {
    const keys = ['a', 'b', 'c'].map((name) => keyOf(16, name))
    for (const key of keys) await ground.set(0, key, 'first')
    await openSlot(16)
    const twin = keys[1] as Buffer
    expect(await source.migrateKeys(request([twin], {isCopying: true}))).toBe('moved')
    await ground.set(0, twin, 'second')
    expect(await failureOf(source.migrateKeys(request(keys)))).toEqual(['busy-key', true])
    expect(await source.listKeys(16, 10, 0)).toEqual([twin])
    expect(await target.countKeys(16, 0)).toBe(3)
    const mine = await source.dumpKey(twin, 0)
    expect(await target.dumpKey(twin, 0)).not.toEqual(mine)
    expect(await source.migrateKeys(request([twin], {isReplacing: true}))).toBe('moved')
    expect(await target.dumpKey(twin, 0)).toEqual(mine)
  })

  it('proves the way with a copy that a target without a mark refuses', async () => {
    const key = keyOf(17, 'probe')
    await ground.set(0, key, 'x')
    expect(await failureOf(source.migrateKeys(request([key], {isCopying: true})))).toEqual(['moved', true])
    expect([await source.countKeys(17, 0), await target.countKeys(17, 0)]).toEqual([1, 0])
  })

  it('keeps a key whose target is not there', async () => {
    const key = keyOf(18, 'a')
    await ground.set(0, key, 'x')
    await openSlot(18)
    const nowhere = {host: target.address.host, port: 1}
    expect(await failureOf(source.migrateKeys(request([key], {target: nowhere, timeoutMs: 300})))).toEqual([
      'io',
      false,
    ])
    expect(await source.countKeys(18, 0)).toBe(1)
  })

  it('does not take keys of different slots together', async () => {
    expect(await failureOf(source.migrateKeys(request([keyOf(19, 'a'), keyOf(20, 'b')])))).toEqual([
      'cross-slot',
      false,
    ])
  })

  it('measures and dumps keys of a slot that a node only imports', async () => {
    const key = keyOf(50, 'a')
    await ground.set(0, key, 'x'.repeat(1000))
    await openSlot(50)
    await source.migrateKeys(request([key], {isCopying: true}))
    expect((await target.measureKeys([key], 0))[0]).toBeGreaterThan(1000)
    expect(await target.dumpKey(key, 0)).toEqual(await source.dumpKey(key, 0))
  })

  it('moves keys from a node that imports the slot to its owner', async () => {
    const key = keyOf(51, 'a')
    await ground.set(0, key, 'x')
    await openSlot(51)
    await source.migrateKeys(request([key]))
    await source.setStable(51)
    expect(await target.migrateKeys(request([key], {target: source.address}))).toBe('moved')
    await target.setStable(51)
    expect([await source.countKeys(51, 0), await target.countKeys(51, 0)]).toEqual([1, 0])
  })

  it('lets a node that neither owns nor imports a slot hand over no key of it', async () => {
    const key = keyOf(52, 'a')
    await ground.set(0, key, 'x')
    await openSlot(52)
    await source.migrateKeys(request([key], {isCopying: true}))
    await target.setStable(52)
    expect(await failureOf(target.migrateKeys(request([key], {target: source.address})))).toEqual(['moved', false])
    expect(await failureOf(target.measureKeys([key], 0))).toEqual(['moved', false])
  })

  it('deletes a key at an importing target', async () => {
    const key = keyOf(21, 'a')
    await ground.set(0, key, 'x')
    await openSlot(21)
    await source.migrateKeys(request([key], {isCopying: true}))
    await target.deleteKey(key, 0)
    expect([await source.countKeys(21, 0), await target.countKeys(21, 0)]).toEqual([1, 0])
  })

  const serialised = async (key: Buffer): Promise<SerialisedKey> => {
    const dump = await source.dumpKey(key, 0)
    if (!dump) throw new Error('there is nothing to serialise')
    return {key, payload: dump.payload, expiresAtMs: dump.ttlMs === undefined ? undefined : Date.now() + dump.ttlMs}
  }
  const restoring = {database: 0, isReplacing: false, isAsking: false}

  it('restores keys, and answers for each', async () => {
    const [a, b, c] = ['a', Buffer.from([0x00, 0xff, 0x0d, 0x0a]), 'c'].map((tail) => keyOf(26, tail)) as [
      Buffer,
      Buffer,
      Buffer,
    ]
    await ground.set(0, a, 'lives on')
    await ground.set(0, b, 'goes', {ttlMs: 60_000})
    await ground.set(0, c, 'is in the way')
    const [one, two, three] = await Promise.all([a, b, c].map(serialised))
    await source.deleteKey(a, 0)
    await source.deleteKey(b, 0)
    const elsewhere = {...one!, key: keyOf(9000, 'x')}
    const results = await source.restoreKeys([one!, two!, three!, elsewhere], restoring)
    expect(results.map((error) => error?.failure)).toEqual([undefined, undefined, 'busy-key', 'moved'])
    const [restored, dying] = await Promise.all([a, b].map((key) => source.dumpKey(key, 0)))
    expect(restored).toEqual({payload: one?.payload, ttlMs: undefined})
    expect(dying?.payload).toEqual(two?.payload)
    expect(Math.abs((dying?.ttlMs ?? 0) - 60_000)).toBeLessThan(10_000)
  })

  it('restores over what is there only if it is to, and nothing whose time has passed', async () => {
    const [key, other] = [keyOf(27, 'a'), keyOf(27, 'b')]
    await ground.set(0, key, 'old')
    const old = await serialised(key)
    await ground.set(0, key, 'new')
    expect(await source.restoreKeys([old], {...restoring, isReplacing: true})).toEqual([undefined])
    expect((await source.dumpKey(key, 0))?.payload).toEqual(old.payload)
    expect(await source.restoreKeys([{...old, key: other, expiresAtMs: Date.now() - 60_000}], restoring)).toEqual([
      undefined,
    ])
    expect(await source.dumpKey(other, 0)).toBeUndefined()
  })

  it('restores what a slot takes while it moves at its target, with ASKING', async () => {
    const key = keyOf(28, 'a')
    await ground.set(0, key, 'x')
    const one = await serialised(key)
    await source.deleteKey(key, 0)
    await openSlot(28)
    const failures = async (node: NodePort, isAsking: boolean) =>
      (await node.restoreKeys([one], {...restoring, isAsking})).map((error) => error?.failure)
    expect(await failures(source, false)).toEqual(['ask'])
    expect(await failures(target, false)).toEqual(['moved'])
    expect(await failures(target, true)).toEqual([undefined])
    expect(await target.countKeys(28, 0)).toBe(1)
  })

  it('answers for each key when the connection is ended, and throws nothing', async () => {
    const key = {key: keyOf(29, 'a'), payload: Buffer.alloc(20), expiresAtMs: undefined}
    const port = await open(1).then(async (other) => {
      const [node] = other.nodes as [NodePort]
      node.close()
      const results = await node.restoreKeys([key, key], restoring)
      await other.stop()
      return results
    })
    expect(port.map((error) => error?.failure)).toEqual(['closed', 'closed'])
  })

  it('tells where it sends clients', async () => {
    const places = await target.readToldPlaces()
    expect(places.get(source.id)).toEqual(source.address)
    expect(places.get(NOBODY)).toBeUndefined()
  })

  it('tells what time it is', async () => {
    expect(Math.abs(((await source.readClock()) ?? 0) - Date.now())).toBeLessThan(5000)
  })

  it('tells how many writes were refused for want of replicas', async () => {
    const before = await source.countRefusedWrites()
    await ground.refuseWrite(0, keyOf(30, 'a'))
    expect(await source.countRefusedWrites()).toBe(before + 1)
  })

  it('gives a slot to its target at an epoch above the source, once', async () => {
    await Promise.all([openSlot(22), openSlot(23)])
    await target.assignSlot(22, target.id)
    const {myEpoch} = await target.readClusterInfo()
    expect(myEpoch).toBeGreaterThan((await source.readClusterInfo()).myEpoch)
    await target.assignSlot(23, target.id)
    await target.bumpEpoch()
    expect((await target.readClusterInfo()).myEpoch).toBe(myEpoch)
    await Promise.all([source.assignSlot(22, target.id), source.assignSlot(23, target.id)])
    await agreed(ground.nodes)
    const marked = [...(await self(source)).migrating, ...(await self(target)).importing].map(({slot}) => slot)
    expect(marked).not.toContain(22)
    expect((await self(target)).ranges).toContainEqual({start: 22, end: 23})
  })

  it('deletes what a source still holds when its target takes the slot', async () => {
    await ground.set(0, keyOf(50, 'a'), 'x')
    await openSlot(24)
    await target.assignSlot(24, target.id)
    await eventually('the source has yielded', async () => (await source.countKeys(24, 0)) === 0)
    await agreed(ground.nodes)
    expect(await target.countKeys(24, 0)).toBe(0)
  })

  it('keeps the importing mark of a target that is told of a new owner', async () => {
    await target.setImporting(25, source.id)
    await target.assignSlot(25, ground.nodes[2]!.id)
    expect((await self(target)).importing).toContainEqual({slot: 25, peer: source.id})
    await target.assignSlot(25, source.id)
    await target.setStable(25)
    await agreed(ground.nodes)
  })

  it('raises an epoch only where it is not the highest', async () => {
    const third = ground.nodes[2] as NodePort
    await agreed(ground.nodes)
    await third.bumpEpoch()
    const {myEpoch} = await third.readClusterInfo()
    expect(myEpoch).toBeGreaterThan((await target.readClusterInfo()).myEpoch)
    await third.bumpEpoch()
    expect((await third.readClusterInfo()).myEpoch).toBe(myEpoch)
  })
})

forEachTerrain('membership of a node', ({open}) => {
  let ground: Ground
  beforeAll(async () => {
    ground = await open(4)
  })
  afterAll(async () => {
    await ground.stop()
  })

  it('goes from a stranger to a primary, a replica, a stranger again', async () => {
    const [first, second, third, stranger] = ground.nodes as [NodePort, NodePort, NodePort, NodePort]
    expect(await failureOf(third.replicate(first.id))).toEqual(['unknown-node', false])
    await stranger.forget(first.id)
    await first.setConfigEpoch(1)
    expect(await failureOf(first.setConfigEpoch(2))).toEqual(['rejected', false])
    await first.addSlots(parseRanges('0-100 102-16383'))
    expect(await failureOf(first.addSlots(parseRanges('100-101')))).toEqual(['rejected', false])
    await first.addSlots(parseRanges('101'))
    await second.setConfigEpoch(2)

    const trio = [first, second, third]
    for (const node of trio)
      for (const other of trio) if (other !== node) await node.meet(other.address, busPort(other))
    await agreed(trio)
    expect(await failureOf(second.setConfigEpoch(5))).toEqual(['rejected', false])
    expect(await failureOf(first.replicate(second.id))).toEqual(['rejected', false])

    await third.replicate(first.id)
    await eventually('the replica is linked and known', async () => {
      const [own, ...others] = await Promise.all([third, first, second].map((node) => node.readView()))
      const known = others.map(({entries}) => entries.find(({id}) => id === third.id)?.primaryId)
      return own?.serverInfo.isPrimaryLinkUp === true && known.every((primaryId) => primaryId === first.id)
    })
    expect(await self(third)).toMatchObject({role: 'replica', primaryId: first.id})
    expect(await failureOf(third.setImporting(0, second.id))).toEqual(['not-primary', false])
    expect(await failureOf(third.setStable(0))).toEqual(['not-primary', false])
    expect(await failureOf(first.setMigrating(0, third.id))).toEqual(['not-primary', false])

    expect(await failureOf(first.failOver('takeover'))).toEqual(['rejected', false])
    await third.failOver('takeover')
    await eventually('the replica leads, at an epoch above all', async () => {
      const [own, ...others] = await Promise.all([third, first, second].map((node) => node.readView()))
      const told = others.map(({entries}) => entries.find(({id}) => id === third.id))
      const epochs = others.map(({clusterInfo}) => clusterInfo.myEpoch)
      const isAbove = epochs.every((epoch) => epoch <= (own?.clusterInfo.myEpoch ?? 0))
      return isAbove && told.every((entry) => entry?.role === 'primary' && countSlots(entry.ranges) === 16384)
    })
    await first.failOver('takeover').catch(() => undefined)
    await eventually('the one from before leads again', async () => {
      const self = (await first.readView()).entries.find(({isMyself}) => isMyself)
      if (self?.role === 'replica') await first.failOver('takeover')
      const told = (await third.readView()).entries.find(({isMyself}) => isMyself)
      return self?.role === 'primary' && told?.primaryId === first.id
    })
    await ground.set(0, keyOf(0, 'a'), 'x')
    expect(await failureOf(first.reset())).toEqual(['rejected', false])
    const before = third.id
    await third.reset()
    expect(third.id).not.toBe(before)
    await Promise.all([first.forget(before), second.forget(before)])
    await eventually('nobody knows it any more', async () => {
      const views = await Promise.all([first, second].map((node) => node.readView()))
      return views.every(({entries}) => entries.every(({id}) => id !== before))
    })
    expect(await third.readView()).toMatchObject({id: third.id, serverInfo: {keysByDatabase: new Map()}})
    expect((await third.readView()).entries).toHaveLength(1)
    expect((await third.readClusterInfo()).currentEpoch).toBe(0)
  })
})

forEachTerrain('settings, functions and databases of a node', ({open, hasDatabases}) => {
  let ground: Ground
  let source: NodePort
  let target: NodePort
  beforeAll(async () => {
    ground = await open(2, hasDatabases ? 4 : 1)
    ;[source, target] = ground.nodes as [NodePort, NodePort]
    await form(ground)
  })
  afterAll(async () => {
    await ground.stop()
  })

  it('reads and writes settings, and has no value for those that the server has not', async () => {
    const name = 'cluster-allow-replica-migration'
    expect(await source.readConfig(name)).toBe('yes')
    await source.writeConfig(name, 'no')
    expect(await source.readConfig(name)).toBe('no')
    expect(await source.readConfig('no-such-setting')).toBeUndefined()
    expect(await failureOf(source.writeConfig('no-such-setting', '1'))).toEqual(['rejected', false])
  })

  it('tells settings by a pattern', async () => {
    const name = 'cluster-allow-replica-migration'
    const told = await source.readSettings('cluster-allow-*')
    expect(told.get(name)).toBe(await source.readConfig(name))
    expect(told.has('maxmemory')).toBe(false)
  })

  it('has no file to write settings or users to when it was started without', async () => {
    expect(await failureOf(source.rewriteConfig())).toEqual(['rejected', false])
    expect(await failureOf(source.saveUsers())).toEqual(['rejected', false])
  })

  it('answers any command byte for byte, and errors are answers', async () => {
    const text = Buffer.from([0, 10, 13, 34, 255])
    expect(await source.callCommand([Buffer.from('ECHO'), text])).toEqual({reply: text})
    expect(await source.callCommand([Buffer.from('ping')])).toEqual({reply: 'PONG'})
    expect(await source.callCommand([Buffer.from('no-such')])).toEqual({
      error: expect.stringMatching(/^ERR unknown command/),
    })
  })

  it('hands on functions', async () => {
    expect(await source.listFunctions()).toEqual([])
    await ground.loadFunction(0, 'zebra')
    await ground.loadFunction(0, 'ant')
    expect(await source.listFunctions()).toEqual(['ant', 'zebra'])
    await target.restoreFunctions(await source.dumpFunctions())
    expect(await target.listFunctions()).toEqual(['ant', 'zebra'])
    expect(await failureOf(target.restoreFunctions(await source.dumpFunctions()))).toEqual(['rejected', false])
    await target.restoreFunctions(await source.dumpFunctions(), true)
    expect(await target.listFunctions()).toEqual(['ant', 'zebra'])
  })

  it('tells its commands, with the categories that rules of users name', async () => {
    const commands = await source.listCommands()
    const find = (name: string) => commands.find((one) => one.name === name)
    expect(find('get')?.categories).toContain('@read')
    const config = find('config')?.subcommands.find(({name}) => name === 'config|set')
    expect(config?.categories).toContain('@admin')
  })

  it('makes users what they are elsewhere', async () => {
    const hash = 'a'.repeat(64)
    await source.setUser('app', ['reset', 'on', `#${hash}`, '~app:*', '-@all', '+get'])
    const [line] = (await source.listUsers()).filter((one) => one.startsWith('user app '))
    expect(line).toContain(`#${hash}`)
    await target.setUser('app', ['on', 'nopass', '~*', '+@all'])
    await target.setUser('app', ['reset', ...parseUserLine(line ?? '').rules])
    expect(await target.listUsers()).toEqual(await source.listUsers())
    expect((await target.listUsers()).some((one) => one.startsWith('user default '))).toBe(true)
    await target.deleteUser('app')
    await target.deleteUser('app')
    expect((await target.listUsers()).some((one) => one.startsWith('user app '))).toBe(false)
  })

  it('sends all that it holds to who asks as a replica', async () => {
    await ground.set(0, keyOf(31, 'kept'), 'a value', {ttlMs: 60_000})
    const snapshot = await source.openSnapshot({silenceMs: 10_000})
    const items: RdbItem[] = []
    for await (const batch of readRdb(snapshot.chunks)) items.push(...batch)
    snapshot.close()
    const [key, ...others] = items.filter((item) => item.kind === 'key')
    expect(others).toEqual([])
    expect(key).toMatchObject({database: 0, key: keyOf(31, 'kept'), type: 0})
    expect(key?.expiresAtMs).toBeGreaterThan(Date.now() + 30_000)
    expect(items.at(-1)?.kind).toBe('end')
  })

  it('tells how many databases may hold keys', async () => {
    expect(await source.readDatabaseCount()).toBe(hasDatabases ? 4 : 1)
  })

  describe.runIf(hasDatabases)('with several databases', () => {
    it('keeps them apart, and counts them all before it gives a slot away', async () => {
      const key = keyOf(30, 'same name')
      await ground.set(0, key, 'in 0')
      await ground.set(0, key, 'in 3', {database: 3})
      await target.setImporting(30, source.id)
      await source.setMigrating(30, target.id)
      const way = {target: target.address, targetLogin: undefined, keys: [key], timeoutMs: 2000, isReplacing: false}
      expect(await source.migrateKeys({...way, database: 0})).toBe('moved')
      expect(await source.migrateKeys({...way, database: 1})).toBe('none')
      const counts = await Promise.all([0, 1, 2, 3].map((database) => source.countKeys(30, database)))
      expect(counts).toEqual([0, 0, 0, 1])
      expect(await failureOf(source.assignSlot(30, target.id))).toEqual(['keys-left', false])
      expect(await source.listKeys(30, 10, 3)).toEqual([key])
      const before = await source.dumpKey(key, 3)
      expect(await source.migrateKeys({...way, database: 3})).toBe('moved')
      expect(await target.dumpKey(key, 3)).toEqual(before)
      expect((await target.readView()).serverInfo.keysByDatabase).toEqual(
        new Map([
          [0, 1],
          [3, 1],
        ]),
      )
    })
  })
})

forEachTerrain('a shard', ({open}) => {
  it('changes its primary when a replica is told to take over, and only a replica can be', async () => {
    const ground = await open(4)
    try {
      const [primary, , , replica] = ground.nodes as [NodePort, NodePort, NodePort, NodePort]
      await form(ground, ['0-5460', '5461-10922', '10923-16383', ''])
      expect(await failureOf(primary.failOver('coordinated'))).toEqual(['rejected', false])
      await replica.replicate(primary.id)
      // The others vote for a replica of a primary that they know, and none is asked for again.
      await eventually('everybody knows the replica, and its link is up', async () => {
        const views = await Promise.all(ground.nodes.map((node) => node.readView()))
        const isKnown = views.every((view) => showsRoles(view, [{id: replica.id, primaryId: primary.id}]))
        return isKnown && views[3]?.serverInfo.isPrimaryLinkUp === true
      })
      await replica.failOver('coordinated')
      await eventually('the roles are swapped, by the word of all', async () => {
        const views = await Promise.all(ground.nodes.map((node) => node.readView()))
        return views.every(({entries}) => {
          const entry = (id: string) => entries.find((one) => one.id === id)
          return entry(replica.id)?.role === 'primary' && entry(primary.id)?.primaryId === replica.id
        })
      })
      const entry = await self(replica)
      expect(entry.ranges).toEqual(parseRanges('0-5460'))
      expect(entry.configEpoch).toBeGreaterThan(4)
    } finally {
      await ground.stop()
    }
  })
})

forEachTerrain('a client with a name', ({open}) => {
  it('is seen by all until it goes or is ended, and is told when others end it', async () => {
    const ground = await open(2)
    try {
      const [here, there] = ground.nodes as [NodePort, NodePort]
      let losses = 0
      const presence = here.openPresence(() => losses++)
      const names = async (node: NodePort): Promise<string[]> =>
        (await node.listNamedClients('me:')).map(({name}) => name).sort()
      expect(await names(here)).toEqual([])
      await presence.announce('me:1')
      expect(await names(here)).toEqual(['me:1'])
      expect(await here.listNamedClients('you:')).toEqual([])
      await presence.announce('me:2')
      expect(await names(here)).toEqual(['me:2'])
      expect(await names(there)).toEqual([])
      const [client] = await here.listNamedClients('me:')
      expect(client?.idleMs).toBeLessThan(2000)
      await here.killClient(client?.id ?? '')
      await eventually('it is gone, and told so', async () => losses === 1 && (await names(here)).length === 0)
      // Ended before: that is fine.
      await here.killClient(client?.id ?? '').catch(() => undefined)
      await presence.announce('me:3')
      expect(await names(here)).toEqual(['me:3'])
      presence.close()
      await eventually('it has gone', async () => (await names(here)).length === 0)
      expect(losses).toBe(1)
      await expect(presence.announce('me:4')).rejects.toMatchObject({failure: 'closed'})
    } finally {
      await ground.stop()
    }
  })
})
