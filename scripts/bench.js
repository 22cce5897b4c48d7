// `npm run bench`: rcluster beside the genuine CLI. Every run that changes something has a fresh cluster, contenders take
// turns, and a run that ends with a wrong result fails. `--help` lists the options; scripts/bench/workloads.js the
// workloads, scripts/bench/acceptance.js what is demanded.
import {spawnSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {judge, renderVerdicts} from './bench/acceptance.js'
import {fitting} from './bench/contenders.js'
import {machine, renderHowMade, renderReadmeTable} from './bench/markdown.js'
import {HELP, OptionsError, parseOptions} from './bench/options.js'
import {runRace} from './bench/race.js'
import {renderSummary, summarise} from './bench/report.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const argv = process.argv.slice(2)
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => interruption.abort(new Error(`interrupted by ${signal}`)))
}

try {
  const options = parseOptions(argv)
  if (options.isHelpWanted) console.log(HELP)
  else if (options.scaleNodes !== undefined) await reckon(options)
  else await bench(options)
} catch (error) {
  const {aborted, reason} = interruption.signal
  console.error(`bench: ${aborted ? reason.message : error.message}`)
  process.exitCode = aborted ? 130 : error instanceof OptionsError ? 2 : 1
}

/** What a large cluster costs, without one. */
async function reckon({scaleNodes, output}) {
  const {measureScale} = await import('./bench/scale.js')
  const show = ({cluster, part, seconds}) => `${cluster.padEnd(9)} ${part.padEnd(28)} ${seconds.toFixed(2)} s`
  const rows = await measureScale(root, scaleNodes, (row) => output === 'json' || console.log(show(row)))
  if (output === 'json') console.log(JSON.stringify({version: 1, machine: machine(), nodes: scaleNodes, rows}, null, 2))
  const slow = rows.filter(({isOk}) => !isOk)
  if (slow.length === 0) return
  console.error(`bench: more than 2 s: ${slow.map(({cluster, part}) => `${cluster}, ${part}`).join('; ')}`)
  process.exitCode = 1
}

async function bench({races, isBuilding, rounds, firstPort, output}) {
  const servers = prepare([...new Set(races.map(({server}) => server))], isBuilding)
  const summaries = []
  const documents = []
  const verdicts = []
  for (const named of races) {
    const server = servers.get(named.server)
    const race = {...named, server, contenders: fitting(named.contenders, server, named.workload.work)}
    // With nobody to compare there is nothing to say.
    if (race.contenders.length === 0) continue
    const onRun = (run, contender) => console.error(lineOf(race, run, contender))
    const runs = await runRace(race, {rounds, firstPort, signal: interruption.signal, onRun})
    const summary = summarise(race, runs)
    const judged = judge(race, runs)
    summaries.push(summary)
    verdicts.push(...judged)
    documents.push({...summary, verdicts: judged, runs})
    if (output !== 'json') console.log(`${renderSummary(summary)}\n`)
  }
  if (output === 'json')
    console.log(JSON.stringify({version: 2, machine: machine(), argv, results: documents}, null, 2))
  else if (verdicts.length > 0) console.log(`${renderVerdicts(verdicts)}\n`)
  if (output === 'markdown') {
    console.log(`${renderReadmeTable(summaries)}\n\n${renderHowMade(machine(), summaries, {argv, rounds})}`)
  }
  const failures = summaries.flatMap(({rows}) => rows.filter(({failure}) => failure !== undefined))
  if (failures.length > 0) console.error(`bench: ${failures.length} contenders failed; see above`)
  if (failures.length > 0 || verdicts.some(({isOk}) => !isOk)) process.exitCode = 1
}

/** For whoever is waiting. */
function lineOf({server, workload}, {round, result, failure}, contender) {
  const name = `${server.name} ${workload.name} round ${round}, ${contender.title(server)}`
  if (failure !== undefined) return `${name}: FAILED: ${failure}`
  const {seconds, cpuSeconds, settleSeconds, client} = result
  const settled = settleSeconds === undefined ? '' : `, ${settleSeconds.toFixed(2)} s more until all serve`
  const felt = client ? `, client p99 ${client.p99.toFixed(1)} ms, longest ${client.max.toFixed(1)} ms` : ''
  return `${name}: ${seconds.toFixed(3)} s, own CPU ${cpuSeconds.toFixed(2)} s${settled}${felt}`
}

/** Builds dist/ and brings the servers, where they are missing. */
function prepare(names, isBuilding) {
  const prefix = path.resolve(process.env.RCLUSTER_SERVERS_PREFIX ?? path.join(root, '.servers'))
  runOrFail(path.join(root, 'scripts/servers.sh'), [`${prefix}/`, ...names])
  if (isBuilding) runOrFail(process.execPath, [path.join(root, 'scripts/build.js')])
  const server = (name) => ({
    name,
    cli: `${name.split('-')[0]}-cli`,
    version: readFileSync(path.join(prefix, name, 'VERSION'), 'utf8').trim(),
    serverPath: path.join(prefix, name, 'bin/server'),
    cliPath: path.join(prefix, name, 'bin/cli'),
  })
  return new Map(names.map((name) => [name, server(name)]))
}

function runOrFail(command, args) {
  const {status, error} = spawnSync(command, args, {stdio: ['ignore', 'ignore', 'inherit']})
  if (error || status !== 0) throw new Error(`${command} ${args.join(' ')} failed`)
}
