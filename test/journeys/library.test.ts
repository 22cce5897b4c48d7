/** Does the library do what its examples show, and have the types that it says, where nothing but the package is? */
import {execFileSync} from 'node:child_process'
import {mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {examplePath} from '../support/examples.ts'
import {compareDigests, digestDataSet, loadDataSet} from '../support/live-load.ts'
import {type RunResult, runProgram} from '../support/rcluster.ts'
import {forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const home = mkdtempSync(path.join(os.tmpdir(), 'rcluster-library-'))
afterAll(() => rmSync(home, {recursive: true, force: true}))

/** What an install leaves, without the packages that the program's bundle has inside anyway. */
beforeAll(() => {
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', home], {cwd: root})
  const [tarball = ''] = readdirSync(home).filter((name) => name.endsWith('.tgz'))
  const folder = path.join(home, 'node_modules/rcluster')
  mkdirSync(folder, {recursive: true})
  execFileSync('tar', ['-xzf', path.join(home, tarball), '-C', folder, '--strip-components=1'])
  writeFileSync(path.join(home, 'package.json'), '{"type": "module", "private": true}')
})

/** The example as it is in the package, where `rcluster` means that very package. */
function example(name: string): string {
  const file = path.join(home, name)
  execFileSync('cp', [examplePath(`library/${name}`), file])
  return file
}

function runExample(name: string, ...words: string[]): Promise<RunResult> {
  return runProgram(process.execPath, [example(name), ...words], {
    cwd: home,
    env: {...process.env, XDG_STATE_HOME: path.join(home, 'state'), RCLUSTER_PASSWORD: undefined},
  })
}

test('the examples have no error by the types of the package, and misuse has', () => {
  const names = readdirSync(examplePath('library')).filter((name) => name.endsWith('.mjs'))
  expect(names).toHaveLength(3)
  writeFileSync(
    path.join(home, 'misuse.ts'),
    [
      "import {connect, planReshard, type Topology} from 'rcluster'",
      "import schema from 'rcluster/schemas/plan-v1.json' with {type: 'json'}",
      'export const wrong = (topology: Topology) => planReshard(topology, {from: 1})',
      "export const fine = async () => (await connect({seeds: 'h:1'})).topology.shards[0]?.primary.id.length",
      'export const id: string = schema.$schema',
    ].join('\n'),
  )
  const compilerOptions = {
    strict: true,
    noEmit: true,
    checkJs: true,
    module: 'node20',
    target: 'es2023',
    resolveJsonModule: true,
    types: ['node'],
    typeRoots: [path.join(root, 'node_modules/@types')],
  }
  writeFileSync(
    path.join(home, 'tsconfig.json'),
    JSON.stringify({compilerOptions, files: [...names.map(example), path.join(home, 'misuse.ts')]}),
  )
  let told = ''
  try {
    execFileSync(path.join(root, 'node_modules/.bin/tsc'), ['-p', home, '--pretty', 'false'], {encoding: 'utf8'})
  } catch (error) {
    told = (error as {stdout: string}).stdout
  }
  expect(told.match(/^\S.*error TS.*$/gm)?.map((line) => line.replace(/^.*\/|:.*$/g, ''))).toEqual([
    expect.stringMatching(/^misuse\.ts\(3,/),
  ])
})

forEachKind(
  'the library',
  (kind) => {
    let servers: TestServers
    beforeAll(async () => {
      servers = await startServers(kind, 4)
    })
    afterAll(() => servers?.stop())

    test('creates, judges, reshards, joins and evens out, and no key is lost', async () => {
      const [first = '', second = '', third = '', fourth = ''] = servers.addresses
      const program = path.join(home, 'grow.mjs')
      writeFileSync(
        program,
        [
          "import {connect, meetEmptyNodes, planCreate, planJoin} from 'rcluster'",
          'const [what, ...addresses] = process.argv.slice(2)',
          "if (what === 'create') {",
          '  const nodes = await meetEmptyNodes({addresses})',
          '  const cluster = await nodes.create(planCreate({nodes: nodes.nodes}))',
          '  console.log(cluster.topology.shards.length)',
          '  cluster.close()',
          '} else {',
          '  const [seed, ...others] = addresses',
          '  const cluster = await connect({seeds: seed})',
          '  const newcomers = await cluster.meet(others)',
          "  const plan = planJoin(cluster.topology, {newcomers, role: 'primary'})",
          '  await cluster.run(JSON.parse(JSON.stringify(plan)))',
          '  console.log((await cluster.run(plan)).newcomers.length, cluster.topology.nodes.length)',
          '  cluster.close()',
          '}',
        ].join('\n'),
      )
      const env = {...process.env, XDG_STATE_HOME: path.join(home, 'state')}
      const grow = (...words: string[]): Promise<RunResult> =>
        runProgram(process.execPath, [program, ...words], {cwd: home, env})
      expect(await grow('create', first, second, third)).toEqual({code: 0, stdout: '3\n', stderr: ''})
      await loadDataSet([first, second, third], {keys: 3000})
      const before = await digestDataSet([first, second, third])

      const judged = await runExample('judge.mjs', first)
      expect(judged.code, judged.stderr).toBe(0)
      expect(judged.stdout).toContain(`${first}: 5461 slots, 0 replicas`)
      expect(judged.stdout).toContain('warning no-replicas')

      const moved = await runExample('reshard.mjs', first, first, second, '200')
      expect(moved.code, moved.stderr).toBe(0)
      expect(JSON.parse(moved.stdout)).toMatchObject({kind: 'done', slotsMoved: 200, left: 0})

      // The second run of the same plan, through JSON, finds all done.
      expect(await grow('join', first, fourth)).toEqual({code: 0, stdout: '1 4\n', stderr: ''})
      const controlled = await runExample('controller.mjs', first, '1')
      expect(controlled, controlled.stderr).toMatchObject({code: 0, stdout: 'doing: rebalance\n'})
      expect((await runExample('controller.mjs', first, '1')).stdout).toBe('nothing to do\n')

      // A move that was cut off is mended by the next round.
      const ids = await Promise.all([first, fourth].map((address) => rawCommand(address, ['CLUSTER', 'MYID'])))
      const slot = (await slotsOwnedBy(first))[0] as number
      await rawCommand(fourth, ['CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', String(ids[0])])
      await rawCommand(first, ['CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', String(ids[1])])
      const refused = await runExample('reshard.mjs', first, first, second, '10')
      expect(refused, refused.stdout).toMatchObject({code: 3})
      expect((await runExample('controller.mjs', first, '1')).stdout).toBe('doing: fix\n')
      expect(await slotsOwnedBy(fourth)).toContain(slot)

      const after = await digestDataSet(servers.addresses)
      expect(compareDigests(before, after)).toEqual({missing: [], changed: [], added: [], duplicates: []})
    })
  },
  ['redis-7.0'],
)

async function slotsOwnedBy(address: string): Promise<number[]> {
  const [host, port] = address.split(':')
  const rows = (await rawCommand(address, ['CLUSTER', 'SLOTS'])) as [number, number, [string, number]][]
  return rows
    .filter(([, , [itsHost, itsPort]]) => itsHost === host && String(itsPort) === port)
    .flatMap(([start, end]) => Array.from({length: end - start + 1}, (_, index) => start + index))
}
