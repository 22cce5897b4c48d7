// What came out, as tables and as a document?
import {spawnSync} from 'node:child_process'
import os from 'node:os'

/** One row a contender of one workload on one server. `runs` hold {round, contender, result}. */
export function summarise({server, workload, rate, contenders, runs}) {
  const ofContender = (name) => runs.filter((run) => run.contender === name)
  const [measure] = contenders
  const rows = contenders.map((contender) => {
    const own = ofContender(contender.name)
    const ratios = own.flatMap(({round, result}) => {
      const rival = ofContender(measure.name).find((run) => run.round === round)
      return rival ? [rival.result.seconds / result.seconds] : []
    })
    const of = (pick) => spread(own.map(({result}) => pick(result)))
    const ofClient = (pick) => (rate > 0 ? of(({client}) => pick(client)) : undefined)
    return {
      contender: contender.name,
      title: contender.title(server),
      runs: own.length,
      ratio: spread(ratios),
      seconds: of(({seconds}) => seconds),
      cpuSeconds: of(({cpuSeconds}) => cpuSeconds),
      serversCpuSeconds: of(({serversCpuSeconds}) => serversCpuSeconds),
      /** Of the node that was longest inside MIGRATE: what is left of `seconds` it was free for its clients. */
      migrateSeconds: of(({migrateSeconds}) => Math.max(...migrateSeconds)),
      p50: ofClient(({p50}) => p50),
      p99: ofClient(({p99}) => p99),
      p999: ofClient(({p999}) => p999),
      max: ofClient(({max}) => max),
      clientErrors: ofClient(({errors}) => errors),
      idleP99: rate > 0 ? of(({idleClient}) => idleClient.p99) : undefined,
    }
  })
  return {server: server.name, version: server.version, workload: workload.name, title: workload.title, rate, rows}
}

function spread(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 0 ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)]
  return {median, min: sorted[0], max: sorted.at(-1)}
}

const COLUMNS = ['', 'times as fast', 'seconds', 'own CPU s', 'servers CPU s', 'in MIGRATE s']
const CLIENT_COLUMNS = ['client p50 ms', 'p99', 'p99.9', 'longest']

/** A Markdown table with aligned columns: as readable on a terminal as in a README. */
export function renderTable({rate, rows}) {
  const hasErrors = rows.some(({clientErrors}) => clientErrors?.max > 0)
  const header = [...COLUMNS, ...(rate > 0 ? CLIENT_COLUMNS : []), ...(hasErrors ? ['client errors'] : [])]
  const lines = rows.map((row) => [
    row.title,
    range(row.ratio, 2),
    range(row.seconds, 2),
    single(row.cpuSeconds, 2),
    single(row.serversCpuSeconds, 2),
    single(row.migrateSeconds, 2),
    ...(rate > 0 ? [single(row.p50, 2), range(row.p99, 1), single(row.p999, 1), range(row.max, 1)] : []),
    ...(hasErrors ? [range(row.clientErrors, 0)] : []),
  ])
  const widths = header.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column].length), 3))
  const toRow = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  return [toRow(header), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(toRow)].join('\n')
}

function range({median, min, max}, digits) {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`
}

function single({median}, digits) {
  return median.toFixed(digits)
}

export function renderSummary(summary) {
  const {server, version, title, rate, rows} = summary
  const client = rate > 0 ? `, a client at ${rate.toLocaleString('en')} operations a second` : ', no client'
  const idle = rate > 0 ? `\n\nThe client's p99 before the move: ${range(spreadOfIdle(rows), 1)} ms.` : ''
  return `**${title}** (${server}, ${version}${client})\n\n${renderTable(summary)}${idle}`
}

function spreadOfIdle(rows) {
  const medians = spread(rows.map(({idleP99}) => idleP99.median))
  return {
    median: medians.median,
    min: Math.min(...rows.map(({idleP99}) => idleP99.min)),
    max: Math.max(...rows.map(({idleP99}) => idleP99.max)),
  }
}

export function machine() {
  const [{model} = {model: 'unknown CPU'}] = os.cpus()
  return {
    cpu: model.trim(),
    cores: os.cpus().length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    commit: spawnSync('git', ['describe', '--always', '--dirty'], {encoding: 'utf8'}).stdout?.trim() || 'unknown',
    date: new Date().toISOString().slice(0, 10),
  }
}

export function renderHowMade({cpu, cores, memoryGiB, system, node, commit, date}, argv, rounds) {
  const command = ['npm run bench', ...(argv.length > 0 ? ['--', ...argv] : [])].join(' ')
  return [
    `Made on ${date} with \`${command}\` at commit ${commit}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node.js ${node};`,
    'client, servers and the one that moves the slots share these cores, on loopback. Every run has fresh servers; the',
    `contenders take turns, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}. Median (least–most); the ratio is that of neighbouring runs. Times are those of the whole process.`,
    'The client is an open loop: its latency counts from the moment an operation was due. After each run all keys and a',
    'digest of their values were as before, and both `check`s passed.',
  ].join('\n')
}
