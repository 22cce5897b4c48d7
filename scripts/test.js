// `npm test`: bundles the source, then runs the unit tests and the tests on real servers, which fetch what is missing.
// Words after `npm test --` go to vitest. The very last line is "N passed, N failed", true of the whole run.
import {spawnSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'

/**
 * Three files at a time share two cores in CI, with dozens of servers. What only that has upset passes with new servers and
 * nothing beside it, where a second try within a file finds what the first has left. More than a few are no accident.
 */
const MOST_FILES_AGAIN = 3

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

console.log('Building dist/ ...')
const build = spawnSync(process.execPath, ['scripts/build.js'], {stdio: 'inherit'})
if (build.status !== 0) end(0, 1)

const words = process.argv.slice(2)
const first = runTests(words)
const unstable = []
let {modules, status, errorsOutside} = first
const failedFiles = modules.filter((module) => module.status === 'failed').map(({name}) => name)
if (process.env['CI'] && words.length === 0 && failedFiles.length > 0 && failedFiles.length <= MOST_FILES_AGAIN) {
  console.log(`\nOnce more, with new servers and nothing beside them: ${failedFiles.map(relative).join(', ')}`)
  const again = runTests([...failedFiles, '--maxWorkers=1'])
  const failures = failuresIn(modules)
  modules = [...modules.filter(({name}) => !failedFiles.includes(name)), ...again.modules]
  status = again.status
  errorsOutside += again.errorsOutside
  const left = new Set(failuresIn(modules))
  unstable.push(...failures.filter((test) => !left.has(test)))
}

const tests = modules.flatMap(({name, assertionResults}) => assertionResults.map((test) => ({...test, file: name})))
const passed = tests.filter(({status}) => status === 'passed').length
let failed = tests.filter(({status}) => status === 'failed').length
// A file that cannot be loaded has no tests that could fail.
failed += modules.filter(({status, assertionResults}) => {
  return status === 'failed' && !assertionResults.some((test) => test.status === 'failed')
}).length
failed += errorsOutside
// vitest itself.
if (status !== 0 && failed === 0) failed = 1

const notRun = tests.filter(({status}) => status !== 'passed' && status !== 'failed')
if (notRun.length > 0) {
  console.log(`\nNOT RUN, ${notRun.length} of ${tests.length} tests:`)
  for (const {file, fullName} of notRun) console.log(`  ${relative(file)}: ${fullName}`)
}
if (unstable.length > 0) {
  console.log(`\nUNSTABLE, ${unstable.length} tests failed beside others and passed alone:`)
  for (const test of unstable) console.log(`  ${test}`)
}
end(passed, failed)

function runTests(args) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-results-'))
  const file = path.join(folder, 'results.json')
  const outside = path.join(folder, 'errors-outside')
  const reporters = ['default', 'json', './scripts/count-errors-outside.js'].map((name) => `--reporter=${name}`)
  const env = {...process.env, RCLUSTER_ERRORS_OUTSIDE: outside}
  const run = spawnSync('node_modules/.bin/vitest', ['run', ...reporters, `--outputFile.json=${file}`, ...args], {
    stdio: 'inherit',
    env,
  })
  try {
    const {testResults} = JSON.parse(readFileSync(file, 'utf8'))
    return {modules: testResults, status: run.status, errorsOutside: Number(readFileSync(outside, 'utf8'))}
  } catch {
    console.error(`vitest left no results (${run.signal ?? `exit code ${run.status}`})`)
    return {modules: [], status: run.status ?? 1, errorsOutside: 0}
  } finally {
    rmSync(folder, {recursive: true, force: true})
  }
}

function failuresIn(modules) {
  return modules.flatMap(({name, assertionResults}) =>
    assertionResults.filter((test) => test.status === 'failed').map(({fullName}) => `${relative(name)}: ${fullName}`),
  )
}

function relative(file) {
  return path.relative('.', file)
}

function end(passedCount, failedCount) {
  console.log(`\n${passedCount} passed, ${failedCount} failed`)
  process.exit(failedCount > 0 ? 1 : 0)
}
