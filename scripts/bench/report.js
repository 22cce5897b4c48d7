// What came out, as tables for a terminal and as a document?
import {pairwise, runsOf, spread} from './comparison.js'
import {renderTable} from './table.js'

/**
 * One row a contender of one race. `runs` hold {round, contender, result} or {round, contender, failure}. The first
 * contender is the measure: `ratio` says how many times as fast as it a row is, `cpuRatio` how much of its CPU it takes.
 */
export function summarise({server, workload, rate, contenders}, runs) {
  const [measure] = contenders
  const rows = contenders.map(({name, title, isOwn = false}) => {
    const own = runsOf(runs, name)
    const of = (pick) => spread(own.map(({result}) => pick(result)))
    return {
      contender: name,
      title: title(server),
      isOwn,
      runs: own.length,
      failure: runs.find((run) => run.contender === name && run.failure !== undefined)?.failure,
      ratio: pairwise(runs, name, measure.name, (result, rival) => rival.seconds / result.seconds),
      seconds: of(({seconds}) => seconds),
      cpuSeconds: of(({cpuSeconds}) => cpuSeconds),
      cpuRatio: pairwise(runs, name, measure.name, (result, rival) => result.cpuSeconds / rival.cpuSeconds),
      serversCpuSeconds: of(({serversCpuSeconds}) => serversCpuSeconds),
      /** Of the node that was longest inside MIGRATE: what is left of `seconds` it was free for its clients. */
      migrateSeconds: of(({migrateSeconds}) => migrateSeconds && Math.max(...migrateSeconds)),
      /** From the end of the program until every node serves. */
      settleSeconds: of(({settleSeconds}) => settleSeconds),
      p50: of(({client}) => client?.p50),
      p99: of(({client}) => client?.p99),
      p999: of(({client}) => client?.p999),
      max: of(({client}) => client?.max),
      clientErrors: of(({client}) => client?.errors),
      idleP99: of(({idleClient}) => idleClient?.p99),
    }
  })
  return {server: server.name, version: server.version, workload: workload.name, title: workload.title, rate, rows}
}

const COLUMNS = [
  {title: 'times as fast', cell: ({ratio}) => range(ratio, 2)},
  {title: 'seconds', cell: ({seconds}) => range(seconds, 2)},
  {title: 'until all serve s', cell: ({settleSeconds}) => range(settleSeconds, 2)},
  {title: 'own CPU s', cell: ({cpuSeconds}) => single(cpuSeconds, 2)},
  {title: "of the first's CPU", cell: ({cpuRatio}) => range(cpuRatio, 2)},
  {title: 'servers CPU s', cell: ({serversCpuSeconds}) => single(serversCpuSeconds, 2)},
  {title: 'in MIGRATE s', cell: ({migrateSeconds}) => single(migrateSeconds, 2)},
  {title: 'client p50 ms', cell: ({p50}) => single(p50, 2)},
  {title: 'p99', cell: ({p99}) => range(p99, 1)},
  {title: 'p99.9', cell: ({p999}) => single(p999, 1)},
  {title: 'longest', cell: ({max}) => range(max, 1)},
  {title: 'client errors', cell: ({clientErrors}) => (clientErrors?.max > 0 ? range(clientErrors, 0) : '')},
]

export function renderSummary(summary) {
  const {server, version, title, rate, rows} = summary
  const client = rate > 0 ? `, a client at ${rate.toLocaleString('en')} operations a second` : ', no client'
  const used = COLUMNS.filter(({cell}) => rows.some((row) => cell(row) !== ''))
  const name = (row) => (row.failure === undefined ? row.title : `${row.title} (FAILED)`)
  const table = renderTable(
    ['', ...used.map((column) => column.title)],
    rows.map((row) => [name(row), ...used.map(({cell}) => cell(row))]),
  )
  const idle = spread(rows.flatMap(({idleP99}) => (idleP99 ? [idleP99.min, idleP99.median, idleP99.max] : [])))
  const baseline = idle ? `\n\nThe client's p99 before the move: ${range(idle, 1)} ms.` : ''
  return `**${title}** (${server}, ${version}${client})\n\n${table}${baseline}`
}

/** `2.41 (2.20–2.60)`, or nothing. */
export function range(spread, digits) {
  if (!spread) return ''
  const {median, min, max} = spread
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`
}

export function single(spread, digits) {
  return spread?.median.toFixed(digits) ?? ''
}
