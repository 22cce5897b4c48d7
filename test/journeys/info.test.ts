/** What operators see of a cluster, its load and its slots, on real servers: those that measure load, and one that does not. */
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {keySlot} from '../../src/lib/slots/key-slot.ts'
import {parseMarkup} from '../support/markup.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachEngine, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const SETTING = 'cluster-slot-stats-enabled'
const HOT = keySlot('hot')
const COLD = keySlot('b')

forEachEngine('info and explain', (kind) => {
  const rcluster = openRcluster()
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-info-'))
  const measures = kind.name !== 'redis-7.0'
  let servers: TestServers
  let [a, b, c] = ['', '', '']
  beforeAll(async () => {
    const zone: Record<string, string> = kind.family === 'valkey' ? {'availability-zone': 'zone-1'} : {}
    servers = await startServers(kind, 3, {config: zone})
    ;[a = '', b = '', c = ''] = servers.addresses
    await rcluster.ok('create', a, b, c, '--yes')
    // 12182 and 3300: of B's and A's third.
    for (let n = 0; n < 30; n++) await rawCommand(ownerOf(HOT), ['SET', `{hot}${n}`, 'x'.repeat(1000)])
    await rawCommand(ownerOf(COLD), ['SET', 'b', '1'])
  })
  afterAll(async () => {
    await servers.stop()
    rcluster.close()
    rmSync(folder, {recursive: true, force: true})
  })
  const ownerOf = (slot: number): string => (slot <= 5460 ? a : slot <= 10922 ? b : c)
  const result = async (...args: string[]) => JSON.parse((await rcluster.ok(...args, '--json')).stdout).result

  test('keys and memory by slot are told by every server', async () => {
    const keys = await result('info', a, '--heat', 'keys')
    expect(keys.heat).toMatchObject({
      by: 'keys',
      total: 31,
      sources: [measures ? 'measured' : 'counted'],
      unknown: [],
    })
    expect(keys.heat.hottest.map(({slot, load}: {slot: number; load: number}) => [slot, load])).toEqual([
      [HOT, 30],
      [COLD, 1],
    ])
    expect(keys.nodes[0].opsPerSecond).toBeGreaterThanOrEqual(0)
    expect(keys.nodes[0].availabilityZone).toBe(kind.family === 'valkey' ? 'zone-1' : null)
    const memory = await result('info', a, '--heat', 'memory')
    expect(memory.heat.sources).toEqual(['estimated'])
    expect(memory.heat.hottest[0]).toMatchObject({slot: HOT})
    expect(memory.heat.hottest[0].load).toBeGreaterThan(30_000)
    expect(memory.heat.hottest[0].load).toBeLessThan(60_000)
  })

  test('computing time is refused with the setting that it takes, and told with it', async () => {
    const refused = await rcluster.run(['info', a, '--heat', 'cpu'])
    expect(refused.code).toBe(3)
    expect(refused.stderr).toContain(SETTING)
    if (!measures) return
    const [, words = ''] = /rcluster (call .*)$/m.exec(refused.stderr) ?? []
    await rcluster.ok(...words.split(' '))
    for (let n = 0; n < 40; n++) await rawCommand(ownerOf(HOT), ['GET', `{hot}${n % 30}`])
    const {heat} = await result('info', a, '--heat', 'cpu')
    expect(heat).toMatchObject({unit: 'microseconds', sources: ['measured'], unknown: []})
    expect(heat.hottest[0].slot).toBe(HOT)
    expect(heat.hottest[0].load).toBeGreaterThan(20)
    const later = await result('info', a, '--heat', 'cpu', '--over', '100ms')
    expect(later.heat.overMs).toBeGreaterThanOrEqual(100)
    expect(later.heat.total).toBeLessThan(heat.total)
  })

  // The rest does not depend on the server.
  if (kind.name !== 'valkey-9.1') return

  test('a report and a picture are written, and no other file is overwritten', async () => {
    const [html, svg] = [path.join(folder, 'r.html'), path.join(folder, 'r.svg')]
    writeFileSync(svg, 'my thesis')
    const refused = await rcluster.run(['info', a, '--svg', svg, '--html', html])
    expect([refused.code, existsSync(html), readFileSync(svg, 'utf8')]).toEqual([2, false, 'my thesis'])
    await rcluster.ok('info', a, '--svg', svg, '--html', html, '--heat', 'keys', '--yes')
    const page = parseMarkup(readFileSync(html, 'utf8'))
    for (const address of servers.addresses) expect(page.text).toContain(address)
    expect(page.text).toContain(`slot ${HOT}: 30`)
    expect(parseMarkup(readFileSync(svg, 'utf8')).text).toContain(`slot ${HOT}: 30`)
  })

  test('a slot is explained by its number and by a key, open or not', async () => {
    const seed = ['--seed', a]
    expect(await result('explain', 'slot', '{hot}7', ...seed)).toMatchObject({
      ...{kind: 'slot', slot: HOT, key: '{hot}7', hashTag: 'hot', isAgreed: true, isOpen: false, findings: []},
      owner: {address: ownerOf(HOT)},
    })
    expect(await result('explain', 'slot', '866', '--as', 'key', ...seed)).toMatchObject({slot: keySlot('866')})
    const source = ownerOf(HOT)
    const target = source === a ? b : a
    const [from, to] = await Promise.all([source, target].map((at) => rawCommand(at, ['CLUSTER', 'MYID'])))
    await rawCommand(target, ['CLUSTER', 'SETSLOT', HOT, 'IMPORTING', String(from)])
    await rawCommand(source, ['CLUSTER', 'SETSLOT', HOT, 'MIGRATING', String(to)])
    const {stdout} = await rcluster.ok('explain', 'slot', String(HOT), ...seed)
    expect(stdout).toContain(`migrating on ${source}`)
    expect(stdout).toContain(`importing on ${target}`)
    expect(stdout).toMatch(new RegExp(`30 on ${source} .*the owner\\n +0 on ${target} .*the other end`))
    expect(stdout).toContain('rcluster reshard')
    for (const at of [source, target]) await rawCommand(at, ['CLUSTER', 'SETSLOT', HOT, 'STABLE'])
  })

  test('a node is explained, and a frozen one costs one deadline and is named', async () => {
    expect(await result('explain', 'slot', b)).toMatchObject({
      ...{kind: 'node', address: b, slots: '5461-10922', findings: []},
      opinions: [{isOwn: true}, {isOwn: false, saidBy: {length: 2}}],
    })
    servers.signal(2, 'SIGSTOP')
    const startedAt = performance.now()
    const slow = ['--command-timeout', '1s']
    const {code, stdout} = await rcluster.run(['explain', 'slot', '16383', '--seed', a, ...slow])
    expect(performance.now() - startedAt).toBeLessThan(8000)
    servers.signal(2, 'SIGCONT')
    expect(code).toBe(1)
    expect(stdout).toMatch(new RegExp(`Owner +${c} .*cannot be reached`))
  })
})
