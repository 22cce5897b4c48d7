/** Before the tests on real servers: the servers of the matrix and a bundle of this source are there, or it is said. */
import {spawnSync} from 'node:child_process'
import {existsSync, readdirSync, statSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {isMatrixRequired, missingKinds, serversPrefix} from './servers.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export function setup(): () => void {
  fetchServers()
  buildBundle()
  return sayWhatIsMissing
}

function fetchServers(): void {
  const missing: string[] = [...missingKinds()]
  // With it, who may make network namespaces has addresses rewritten as Docker does.
  if (process.getuid?.() === 0 && !existsSync(path.join(serversPrefix(), 'nft'))) missing.push('nft')
  // Someone who names the kinds wants those and no downloads.
  if (missing.length === 0 || process.env['RCLUSTER_TEST_KINDS']) return
  say(`fetching ${missing.join(', ')} into ${serversPrefix()}`)
  spawnSync(path.join(root, 'scripts/servers.sh'), [serversPrefix(), ...missing], {stdio: ['ignore', 2, 2]})
  sayWhatIsMissing()
}

function buildBundle(): void {
  const built = path.join(root, 'dist/cli.js')
  if (existsSync(built) && statSync(built).mtimeMs >= newestSource()) return
  say('building dist/')
  const {status} = spawnSync(process.execPath, ['scripts/build.js'], {cwd: root, stdio: ['ignore', 2, 2]})
  if (status !== 0) throw new Error('scripts/build.js failed: the tests would run an old bundle')
}

function newestSource(): number {
  const sources = readdirSync(path.join(root, 'src'), {recursive: true, encoding: 'utf8'}).map((name) => `src/${name}`)
  const files = [...sources, 'package.json', 'scripts/build.js'].map((name) => path.join(root, name))
  return Math.max(...files.map((file) => statSync(file).mtimeMs))
}

function sayWhatIsMissing(): void {
  const missing = missingKinds()
  if (missing.length === 0) return
  say(
    `NOT RUN: the tests of ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} not in ${serversPrefix()}`,
  )
  if (isMatrixRequired()) say('that counts as a failure here')
}

function say(line: string): void {
  process.stderr.write(`servers: ${line}\n`)
}
