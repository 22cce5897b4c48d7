/** Two clusters that touch: it is seen, and nothing that rcluster does makes one of them. */
import {readFileSync, writeFileSync} from 'node:fs'
import path from 'node:path'
import {afterAll, afterEach, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {forEachEngine, rawCommand, splitAddress, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

let servers: TestServers | undefined
afterEach(async () => {
  await servers?.stop()
})

/** "set" on every node that takes it, so that what is left can be counted. */
async function fill(addresses: readonly string[]): Promise<void> {
  for (let n = 0; n < 30; n++) {
    await Promise.all(
      addresses.map((address) => rawCommand(address, ['SET', `key${n}`, address]).catch(() => undefined)),
    )
  }
}

async function sizesOf(addresses: readonly string[]): Promise<unknown[]> {
  return Promise.all(addresses.map((address) => rawCommand(address, ['DBSIZE'])))
}

/** As after a MEET, with a wall between the bus ports: else the clusters are one before anybody could look. */
function introduce(folder: string, id: string, address: string): void {
  const file = path.join(folder, 'nodes.conf')
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  const {host, port} = splitAddress(address)
  writeFileSync(file, [`${id} ${host}:${port}@1 master - 0 0 0 disconnected`, ...lines, ''].join('\n'))
}

forEachEngine('two clusters', (kind) => {
  test('are never made one, and seen where they touch', {timeout: 60_000}, async () => {
    servers = await startServers(kind, 6, {config: {'cluster-node-timeout': '15000', appendonly: 'yes'}})
    const {addresses} = servers
    const [ours, theirs] = [addresses.slice(0, 3), addresses.slice(3)]
    const [a = '', , third = ''] = ours
    const [x = ''] = theirs
    await rcluster.ok('create', ...ours, '--yes')
    await rcluster.ok('create', ...theirs, '--yes')
    await fill(addresses)
    const before = await sizesOf(addresses)

    const joined = await rcluster.run(['add-node', x, '--seed', a])
    expect(joined.code, joined.stderr).toBe(3)
    expect(joined.stderr).toMatch(
      new RegExp(`${x} is not empty: .*2 other nodes that it knows: ${theirs[1]} |${theirs[2]} `),
    )
    const created = await rcluster.run(['create', a, x, third, '--yes'])
    expect(created.code, created.stderr).toBe(3)
    const seeded = await rcluster.run(['fix', '--seed', `${a},${x}`, '--yes'])
    expect(seeded.code, seeded.stderr).toBe(3)
    expect(seeded.stderr).toContain('belong to different clusters')
    expect((await rcluster.run(['check', a, x])).code).toBe(3)

    await servers.kill(0)
    introduce(servers.folder(0), String(await rawCommand(x, ['CLUSTER', 'MYID'])), x)
    await servers.restart(0)
    const found = await rcluster.run(['check', a, '--json'])
    expect(found.code, found.stdout).toBe(1)
    const {findings} = (
      JSON.parse(found.stdout) as {result: {findings: {id: string; slots: string; groups?: string[][]}[]}}
    ).result
    expect(findings.find(({id}) => id === 'merged-clusters')).toMatchObject({id: 'merged-clusters', slots: '0-16383'})
    const all = await rcluster.run(['fix', a, '--yes', '--allow', 'disruptive', '--accept-data-loss', 'all'])
    expect(all.code, all.stdout).toBe(3)
    expect(all.stderr).toContain('two clusters seem to have been joined')
    expect(await sizesOf(addresses)).toEqual(before)
  })
})
