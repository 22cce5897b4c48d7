// What was asked for on the command line?
import {parseArgs} from 'node:util'
import {CONTENDERS, programContender} from './contenders.js'
import {WORKLOADS} from './workloads.js'

export const HELP = `npm run bench -- [options]: rcluster beside the genuine CLI of the same server, in one interleaved run.

  --server NAMES      servers of the matrix, comma separated (default redis-7.0)
  --workload NAMES    default ${defaultWorkloads().join(',')}
                      all: ${WORKLOADS.map(({name}) => name).join(', ')}
  --contender NAMES   of ${Object.keys(CONTENDERS).join(', ')}; the first one is the measure (default: the workload's)
  --program PATHS     other builds of rcluster to race as well: paths of their bin/run.js
  --rounds N          runs of each contender (default 3)
  --rate N            operations a second of the live client (default: the workload's; 0: no client)
  --scale F           this fraction of each workload's keys and slots, for a quick look (default 1)
  --first-port N      ports from here on are used; the buses' are ${250} above (default 26000)
  --json              one JSON document with every run, instead of tables
  --markdown          with how it was made, for the README
  --no-build          take dist/ as it is`

function defaultWorkloads() {
  return WORKLOADS.filter(({isExtra}) => !isExtra).map(({name}) => name)
}

/** @throws Error whose message says which word is wrong. */
export function parseOptions(argv) {
  const {values} = parseArgs({
    args: argv,
    options: {
      server: {type: 'string', default: 'redis-7.0'},
      workload: {type: 'string'},
      contender: {type: 'string'},
      program: {type: 'string'},
      rounds: {type: 'string', default: '3'},
      rate: {type: 'string'},
      scale: {type: 'string', default: '1'},
      'first-port': {type: 'string', default: '26000'},
      json: {type: 'boolean', default: false},
      markdown: {type: 'boolean', default: false},
      'no-build': {type: 'boolean', default: false},
      help: {type: 'boolean', short: 'h', default: false},
    },
  })
  const programs = words(values.program ?? '').map(programContender)
  return {
    isHelpWanted: values.help,
    servers: words(values.server),
    workloads: words(values.workload ?? defaultWorkloads().join()).map((name) =>
      require('workload', name, Object.fromEntries(WORKLOADS.map((workload) => [workload.name, workload]))),
    ),
    /** undefined: each workload's own. */
    contenders:
      values.contender === undefined
        ? undefined
        : words(values.contender).map((name) => require('contender', name, CONTENDERS)),
    programs,
    rounds: number('rounds', values.rounds, 1, 100, Number.isInteger),
    rate: values.rate === undefined ? undefined : number('rate', values.rate, 0, 20_000, Number.isInteger),
    scale: number('scale', values.scale, 0.001, 1, Number.isFinite),
    firstPort: number('first-port', values['first-port'], 1024, 65_000, Number.isInteger),
    output: values.json ? 'json' : values.markdown ? 'markdown' : 'table',
    isBuilding: !values['no-build'],
  }
}

function words(text) {
  return text.split(/[\s,]+/).filter((word) => word !== '')
}

function require(what, name, known) {
  if (Object.hasOwn(known, name)) return known[name]
  throw new Error(`--${what} ${name}: not one of ${Object.keys(known).join(', ')}`)
}

function number(flag, text, least, most, isRight) {
  const value = Number(text)
  if (text.trim() !== '' && isRight(value) && value >= least && value <= most) return value
  throw new Error(`--${flag} ${text}: a number from ${least} to ${most} is needed`)
}
