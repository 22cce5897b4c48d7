// `npm test`: bundles the source, then runs the unit tests and the tests on real servers, which fetch what is missing.
// Words after `npm test --` go to vitest. The very last line is "N passed, N failed", true of the whole run.
import {spawnSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

console.log('Building dist/ ...')
const build = spawnSync(process.execPath, ['scripts/build.js'], {stdio: 'inherit'})
if (build.status !== 0) end(0, 1)

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-results-'))
const file = path.join(folder, 'results.json')
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
const run = spawnSync('node_modules/.bin/vitest', ['run', ...reporters, ...process.argv.slice(2)], {stdio: 'inherit'})
const modules = readResults()
rmSync(folder, {recursive: true, force: true})

const tests = modules.flatMap(({name, assertionResults}) => assertionResults.map((test) => ({...test, file: name})))
const passed = tests.filter(({status}) => status === 'passed').length
let failed = tests.filter(({status}) => status === 'failed').length
// A file that cannot be loaded has no tests that could fail.
failed += modules.filter(({status, assertionResults}) => {
  return status === 'failed' && !assertionResults.some((test) => test.status === 'failed')
}).length
// Errors outside any test, or vitest itself.
if (run.status !== 0 && failed === 0) failed = 1

const notRun = tests.filter(({status}) => status !== 'passed' && status !== 'failed')
if (notRun.length > 0) {
  console.log(`\nNOT RUN, ${notRun.length} of ${tests.length} tests:`)
  for (const {file, fullName} of notRun) console.log(`  ${path.relative('.', file)}: ${fullName}`)
}
end(passed, failed)

function readResults() {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).testResults
  } catch {
    console.error(`vitest left no results (${run.signal ?? `exit code ${run.status}`})`)
    return []
  }
}

function end(passedCount, failedCount) {
  console.log(`\n${passedCount} passed, ${failedCount} failed`)
  process.exit(failedCount > 0 ? 1 : 0)
}
