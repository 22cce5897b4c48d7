// `npm run check`: is the source in order? Each step with its time; a step's output only when it fails.
// `--no-tests` leaves the unit tests out, for who runs all tests anyway.
// The last line counts the steps: "N passed, N failed".
import {spawnSync} from 'node:child_process'
import {fileURLToPath} from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const local = (name) => `node_modules/.bin/${name}`
const steps = [
  ['types', local('tsc'), '-p', '.'],
  ['format and lint', local('biome'), 'check', '--error-on-warnings'],
  ['promises', local('oxlint'), '--type-aware', 'src', 'test', 'scripts'],
  ['import directions', process.execPath, 'scripts/check-imports.js'],
  ['schemas', process.execPath, 'scripts/schemas.js', '--check'],
  ['bundle', process.execPath, 'scripts/build.js'],
  ['dead code', local('knip'), '--no-progress'],
  ['package', local('publint'), '--strict'],
]
if (!process.argv.includes('--no-tests')) steps.push(['unit tests', local('vitest'), 'run', '--project', 'unit'])

let failed = 0
for (const [name, command, ...args] of steps) {
  const start = performance.now()
  const {status, stdout, stderr, error} = spawnSync(command, args, {encoding: 'utf8', maxBuffer: 2 ** 26})
  const isGood = status === 0
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${isGood ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`)
  if (isGood) continue
  failed++
  console.log(`${stdout ?? ''}${stderr ?? ''}${error ? `${error.message}\n` : ''}`)
}
console.log(`${steps.length - failed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
