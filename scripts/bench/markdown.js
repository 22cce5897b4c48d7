// What stands in the README? One table over all races, and how it was made.
import {spawnSync} from 'node:child_process'
import os from 'node:os'
import {spread} from './comparison.js'
import {range, single} from './report.js'
import {renderTable} from './table.js'

const HEADER = ['', 'server', 'times as fast', 'seconds', 'own CPU s', 'client p99 ms', 'p99.9', 'longest']

/** One row a race and program of ours beside the first contender; its values come first where there are two. */
export function renderReadmeTable(summaries) {
  const lines = summaries.flatMap(({title, server, version, rate, rows: [measure, ...rivals]}) =>
    rivals
      .filter(({isOwn, ratio}) => isOwn && ratio)
      .map((row) => {
        const both = (key, digits) =>
          measure[key] && row[key] ? `${single(measure[key], digits)} → ${single(row[key], digits)}` : '–'
        return [
          [title, ...(rate > 0 ? [] : ['no client']), ...(row.contender === 'rcluster' ? [] : [row.title])].join('; '),
          `${server.split('-')[0]} ${version}`,
          range(row.ratio, 2),
          [measure, row].map(secondsOf).join(' → '),
          both('cpuSeconds', 2),
          ...['p99', 'p999', 'max'].map((key) => both(key, 1)),
        ]
      }),
  )
  return renderTable(HEADER, lines)
}

/** What was left to the nodes after the program's end stands behind a plus. */
function secondsOf({seconds, settleSeconds}) {
  return [single(seconds, 2), ...(settleSeconds ? [single(settleSeconds, 2)] : [])].join(' + ')
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

export function renderHowMade({cpu, cores, memoryGiB, system, node, commit, date}, summaries, {argv, rounds}) {
  const command = ['npm run bench', ...(argv.length > 0 ? ['--', ...argv] : [])].join(' ')
  const rates = [...new Set(summaries.map(({rate}) => rate).filter((rate) => rate > 0))]
  const servers = [...new Set(summaries.map(({server, version}) => `${server.split('-')[0]} ${version}`))]
  const idle = spread(
    summaries.flatMap(({rows}) =>
      rows.flatMap(({idleP99}) => (idleP99 ? [idleP99.min, idleP99.median, idleP99.max] : [])),
    ),
  )
  const client = [
    `The client (${rates.map((rate) => rate.toLocaleString('en')).join(' or ')} operations a second) is an open loop:`,
    'its latency counts from the moment an operation was due.',
    ...(idle ? [`Before the moves its p99 was ${range(idle, 1)} ms.`] : []),
  ]
  return [
    `Made on ${date} with \`${command}\` at commit ${commit}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node.js ${node};`,
    `${servers.join(', ')}, each with its own CLI, whose value stands first where there are two.`,
    'Client, servers and the one that moves the slots share these cores, on loopback. Every run that changes something has',
    `fresh servers; the contenders take turns, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}. Median (least–most); the ratio is that of neighbouring runs.`,
    'Times are those of the whole process; behind a plus, what it then took until every node served.',
    ...(rates.length > 0 ? [client.join(' ')] : []),
    'After each move all keys and a digest of their values were as before, and both `check`s passed.',
  ].join('\n')
}
