// `npm run bench`: rcluster beside the genuine CLI. Every run has a fresh cluster, contenders take turns, and a run that
// ends with a wrong result fails the whole. `--help` lists the options; scripts/bench/workloads.js the workloads.
import {spawnSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {CONTENDERS} from './bench/contenders.js'
import {HELP, parseOptions} from './bench/options.js'
import {machine, renderHowMade, renderSummary, summarise} from './bench/report.js'
import {measure} from './bench/run.js'
import {scaled} from './bench/workloads.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const argv = process.argv.slice(2)
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => interruption.abort(new Error(`interrupted by ${signal}`)))
}

try {
  const options = parseOptions(argv)
  if (options.isHelpWanted) console.log(HELP)
  else await bench(options)
} catch (error) {
  const {aborted, reason} = interruption.signal
  console.error(`bench: ${aborted ? reason.message : error.message}`)
  process.exitCode = aborted ? 130 : 1
}

async function bench(options) {
  const servers = prepare(options)
  const summaries = []
  const documents = []
  for (const server of servers) {
    for (const workload of options.workloads.map((one) => scaled(one, options.scale))) {
      const rate = options.rate ?? workload.rate
      const own = options.contenders ?? workload.contenders.map((name) => CONTENDERS[name])
      const contenders = [...own, ...options.programs]
      const runs = await race({server, workload, rate, contenders}, options)
      const summary = summarise({server, workload, rate, contenders, runs})
      summaries.push(summary)
      documents.push({...summary, runs})
      if (options.output !== 'json') console.log(`${renderSummary(summary)}\n`)
    }
  }
  if (options.output === 'markdown') console.log(renderHowMade(machine(), argv, options.rounds))
  if (options.output === 'json') {
    console.log(JSON.stringify({version: 1, machine: machine(), argv, results: documents}, null, 2))
  }
}

/** A B C, A B C, … */
async function race({server, workload, rate, contenders}, {rounds, firstPort}) {
  const digests = new Map()
  const runs = []
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      const result = await measure({
        ...{workload, contender, server, rate, firstPort, digests},
        signal: interruption.signal,
      })
      runs.push({round, contender: contender.name, result})
      const client = result.client ? `, client p99 ${result.client.p99.toFixed(1)} ms` : ''
      const name = `${server.name} ${workload.name} ${round}/${rounds} ${contender.title(server)}`
      console.error(`${name}: ${result.seconds.toFixed(2)} s, own CPU ${result.cpuSeconds.toFixed(2)} s${client}`)
    }
  }
  return runs
}

/** Builds dist/ and brings the servers, where they are missing. */
function prepare({servers, isBuilding}) {
  const prefix = path.resolve(process.env.RCLUSTER_SERVERS_PREFIX ?? path.join(root, '.servers'))
  runOrFail(path.join(root, 'scripts/servers.sh'), [`${prefix}/`, ...servers])
  if (isBuilding) runOrFail(process.execPath, [path.join(root, 'scripts/build.js')])
  return servers.map((name) => ({
    name,
    cli: `${name.split('-')[0]}-cli`,
    version: readFileSync(path.join(prefix, name, 'VERSION'), 'utf8').trim(),
    serverPath: path.join(prefix, name, 'bin/server'),
    cliPath: path.join(prefix, name, 'bin/cli'),
  }))
}

function runOrFail(command, args) {
  const {status, error} = spawnSync(command, args, {stdio: ['ignore', 'ignore', 'inherit']})
  if (error || status !== 0) throw new Error(`${command} ${args.join(' ')} failed`)
}
