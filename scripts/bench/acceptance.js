// What is asked of rcluster, and was it met? `--suite acceptance` runs these races and judges each demand.
import {pairwise, runsOf, spread} from './comparison.js'
import {range} from './report.js'
import {renderTable} from './table.js'

const CLIENT = 2000
const ATOMIC_SERVERS = ['valkey-9.1', 'redis-8.6']

/** `least` times as fast as the rival, by the median of the rounds. */
function faster(contender, least, rival = 'genuine') {
  return {
    contender,
    what: `times as fast as ${rival}`,
    required: `at least ${least}`,
    measure: (runs) => pairwise(runs, contender, rival, (result, other) => other.seconds / result.seconds),
    isMet: ({median}) => median >= least,
  }
}

/** The client's p99 is `most` times that beside the genuine CLI, by the median of the rounds. */
function gentle(contender, most) {
  return {
    contender,
    what: "client's p99, times genuine's",
    required: `at most ${most}`,
    measure: (runs) => pairwise(runs, contender, 'genuine', (result, other) => result.client?.p99 / other.client?.p99),
    isMet: ({median}) => median <= most,
  }
}

/** No operation of the client, in any round, took longer. */
function noneLonger(contender, mostMs) {
  return {
    contender,
    what: "client's longest operation, ms",
    required: `never over ${mostMs}`,
    measure: (runs) => spread(runsOf(runs, contender).map(({result}) => result.client?.max)),
    isMet: ({max}) => max <= mostMs,
  }
}

function thrifty(contender, most) {
  return {
    contender,
    what: "own CPU, times genuine's",
    required: `at most ${most}`,
    measure: (runs) => pairwise(runs, contender, 'genuine', (result, other) => result.cpuSeconds / other.cpuSeconds),
    isMet: ({median}) => median <= most,
  }
}

function within(contender, mostSeconds, rival) {
  return {
    contender,
    what: `seconds more than ${rival}`,
    digits: 3,
    required: `at most ${mostSeconds}`,
    measure: (runs) => pairwise(runs, contender, rival, (result, other) => result.seconds - other.seconds),
    isMet: ({median}) => median <= mostSeconds,
  }
}

const ROWS = [
  {
    ...{servers: ['redis-7.0'], workload: 'small', rate: CLIENT},
    demands: [
      faster('rcluster-migrate', 2.4),
      faster('rcluster-fast', 2.8),
      faster('rcluster-migrate', 1, 'genuine-100'),
      faster('rcluster-fast', 1, 'genuine-100'),
      gentle('rcluster-migrate', 1.5),
      gentle('rcluster-fast', 4),
      thrifty('rcluster-migrate', 1),
    ],
    others: ['genuine-100'],
  },
  {
    ...{servers: ATOMIC_SERVERS, workload: 'small', rate: CLIENT},
    demands: [faster('rcluster', 10), noneLonger('rcluster', 100)],
  },
  {
    ...{servers: ['redis-7.0'], workload: 'sparse', rate: CLIENT},
    demands: [faster('rcluster-migrate', 1.8), faster('rcluster-fast', 2.9), gentle('rcluster-migrate', 2)],
  },
  {
    ...{servers: ['redis-7.0'], workload: 'medium', rate: CLIENT},
    demands: [faster('rcluster-migrate', 1.1), gentle('rcluster-migrate', 1.3)],
  },
  {...{servers: ATOMIC_SERVERS, workload: 'medium', rate: CLIENT}, demands: [faster('rcluster', 4)]},
  {
    ...{servers: ATOMIC_SERVERS, workload: 'big', rate: CLIENT},
    demands: [faster('rcluster', 1.1), noneLonger('rcluster', 50)],
  },
  {...{servers: ['redis-7.0'], workload: 'empty', rate: 0}, demands: [faster('rcluster-migrate', 4)]},
  {
    ...{servers: ['valkey-9.1'], workload: 'empty', rate: 0},
    demands: [faster('rcluster-migrate', 15), faster('rcluster', 35)],
  },
  {...{servers: ['valkey-8.1'], workload: 'empty-replicas', rate: 0}, demands: [faster('rcluster-migrate', 4.5)]},
  {
    ...{servers: ['redis-7.0'], workload: 'rebalance', rate: CLIENT},
    demands: [faster('rcluster', 3.5), noneLonger('rcluster', 50)],
  },
  {
    ...{servers: ATOMIC_SERVERS, workload: 'rebalance', rate: CLIENT},
    demands: [faster('rcluster', 12), noneLonger('rcluster', 100)],
  },
  {...{servers: ['redis-7.0'], workload: 'rebalance-10k', rate: CLIENT}, demands: [faster('rcluster', 2.5)]},
  {...{servers: ['redis-7.0', 'valkey-9.1'], workload: 'create-30', rate: 0}, demands: [faster('rcluster', 10)]},
  {...{servers: ['redis-7.0', 'valkey-9.1'], workload: 'create-60', rate: 0}, demands: [faster('rcluster', 10)]},
  {
    ...{servers: ['redis-7.0'], workload: 'check-6', rate: 0},
    demands: [within('rcluster', 0.15, 'node')],
    others: ['node'],
  },
  {...{servers: ['redis-7.0'], workload: 'check-120', rate: 0}, demands: [faster('rcluster', 1)]},
]

/** Races by name: {server, workload, rate, contenders, demands}. */
export const ACCEPTANCE = ROWS.flatMap(({servers, workload, rate, demands, others = []}) =>
  servers.map((server) => ({
    ...{server, workload, rate, demands},
    contenders: [...new Set(['genuine', ...others, ...demands.map(({contender}) => contender)])],
  })),
)

/** One verdict a demand of this race. What could not be measured is not met. */
export function judge({server, workload, demands, contenders}, runs) {
  return demands.map(({contender, what, digits = 2, required, measure, isMet}) => {
    const measured = measure(runs)
    const {title} = contenders.find(({name}) => name === contender)
    return {
      ...{server: server.name, workload: workload.title, contender: title(server), what, digits, measured, required},
      isOk: measured !== undefined && isMet(measured),
    }
  })
}

export function renderVerdicts(verdicts) {
  const lines = verdicts.map(({server, workload, contender, what, digits, measured, required, isOk}) => [
    ...[workload, server, contender, what, range(measured, digits) || 'nothing', required, isOk ? 'ok' : 'NOT MET'],
  ])
  const met = verdicts.filter(({isOk}) => isOk).length
  const table = renderTable(['', 'server', 'contender', 'what', 'measured', 'required', ''], lines)
  return `**Acceptance: ${met} of ${verdicts.length} demands are met**\n\n${table}`
}
