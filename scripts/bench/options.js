// What was asked for on the command line?
import {parseArgs} from 'node:util'
import {ACCEPTANCE} from './acceptance.js'
import {CONTENDERS, programContender} from './contenders.js'
import {BUS_OFFSET} from './servers.js'
import {isMove, scaled, WORKLOADS, workloadsNamed} from './workloads.js'

const SUITES = {acceptance: ACCEPTANCE}

export const HELP = `npm run bench -- [options]: rcluster beside the genuine CLI of the same server, in one interleaved run.

  --server NAMES      servers of the matrix, comma separated (default redis-7.0)
  --workload NAMES    of the list below; create and check stand for all of their sizes (default: all but those with *)
  --contender NAMES   of ${Object.keys(CONTENDERS).join(', ')};
                      the first one is the measure (default: the workload's). Who cannot do a workload sits it out
  --program PATHS     other builds of rcluster to race as well: paths of their bin/run.js
  --rounds N          runs of each contender (default 3)
  --rate LIST         operations a second of the live client, as 0,2000: each workload that moves slots once with each
                      (default: the workload's; 0: no client)
  --scale F           this fraction of the keys and slots to move, for a quick look (default 1)
  --suite acceptance  the races that rcluster has to win, each with its servers, contenders and rate, and a verdict on
                      each demand; --server and --workload pick from them
  --suite scale       no race, and no servers: what reading, judging and planning cost for 1000 nodes; --nodes N for others
  --first-port N      ports from here on are used, up to 120; the buses' are ${BUS_OFFSET} above (default 26000)
  --json              one JSON document with every run, instead of tables
  --markdown          at the end the table for the README and how it was made
  --no-build          take dist/ as it is

Exit code 1 when a contender failed or a demand is not met; 2 when the words make no sense.

Workloads:
${WORKLOADS.map(({name, title, isExtra}) => `  ${name.padEnd(19)} ${isExtra ? '* ' : ''}${title}`).join('\n')}`

/** The words on the command line make no sense. */
export class OptionsError extends Error {}

/**
 * @returns races to run, or the size of the cluster to reckon with, by server's name, among what else was said: {server, workload, rate, contenders, demands}
 * @throws OptionsError whose message says which word is wrong.
 */
export function parseOptions(argv) {
  const values = parseWords(argv)
  const options = {
    isHelpWanted: values.help,
    rounds: number('rounds', values.rounds, 1, 100, Number.isInteger),
    firstPort: number('first-port', values['first-port'], 1024, 65_000, Number.isInteger),
    scaleNodes: values.suite === 'scale' ? number('nodes', values.nodes, 20, 4000, isEven) : undefined,
    output: values.json ? 'json' : values.markdown ? 'markdown' : 'table',
    isBuilding: !values['no-build'],
    races: [],
  }
  if (options.isHelpWanted || options.scaleNodes !== undefined) return options
  const races = values.suite === undefined ? namedRaces(values) : suiteRaces(values)
  const scale = number('scale', values.scale, 0.001, 1, Number.isFinite)
  options.races = races.map((race) => ({...race, workload: scaled(race.workload, scale)}))
  return options
}

function parseWords(argv) {
  try {
    const {values} = parseArgs({
      args: argv,
      options: {
        server: {type: 'string'},
        workload: {type: 'string'},
        contender: {type: 'string'},
        program: {type: 'string'},
        rounds: {type: 'string', default: '3'},
        rate: {type: 'string'},
        scale: {type: 'string', default: '1'},
        suite: {type: 'string'},
        nodes: {type: 'string', default: '1000'},
        'first-port': {type: 'string', default: '26000'},
        json: {type: 'boolean', default: false},
        markdown: {type: 'boolean', default: false},
        'no-build': {type: 'boolean', default: false},
        help: {type: 'boolean', short: 'h', default: false},
      },
    })
    return values
  } catch (error) {
    throw new OptionsError(error.message)
  }
}

function namedRaces(values) {
  const workloads =
    values.workload === undefined ? WORKLOADS.filter(({isExtra}) => !isExtra) : pickWorkloads(values.workload)
  const given = values.contender === undefined ? undefined : words(values.contender)
  const programs = words(values.program ?? '').map(programContender)
  const rates = values.rate === undefined ? undefined : words(values.rate).map(rateOf)
  return words(values.server ?? 'redis-7.0').flatMap((server) =>
    workloads.flatMap((workload) =>
      (rates && isMove(workload) ? rates : [workload.rate]).map((rate) => ({
        ...{server, workload, rate, demands: []},
        contenders: [...(given ?? workload.contenders).map(contenderNamed), ...programs],
      })),
    ),
  )
}

function suiteRaces({suite, server, workload, contender, rate, program}) {
  if (!Object.hasOwn(SUITES, suite)) {
    throw new OptionsError(`--suite ${suite}: not one of ${[...Object.keys(SUITES), 'scale'].join(', ')}`)
  }
  for (const [flag, value] of Object.entries({contender, rate, program})) {
    if (value !== undefined) throw new OptionsError(`--${flag} does not go with --suite, which has its own`)
  }
  const servers = server === undefined ? undefined : words(server)
  const names = workload === undefined ? undefined : pickWorkloads(workload).map(({name}) => name)
  const races = SUITES[suite].filter(
    (race) => (servers?.includes(race.server) ?? true) && (names?.includes(race.workload) ?? true),
  )
  if (races.length === 0) throw new OptionsError(`--suite ${suite} has no such race`)
  return races.map((race) => ({
    ...race,
    workload: workloadsNamed(race.workload)[0],
    contenders: race.contenders.map(contenderNamed),
  }))
}

function words(text) {
  return text.split(/[\s,]+/).filter((word) => word !== '')
}

function pickWorkloads(text) {
  const picked = words(text).flatMap((word) => {
    const found = word === 'all' ? WORKLOADS : workloadsNamed(word)
    if (found.length > 0) return found
    throw new OptionsError(`--workload ${word}: not one of ${WORKLOADS.map(({name}) => name).join(', ')}`)
  })
  return [...new Set(picked)]
}

function contenderNamed(name) {
  if (Object.hasOwn(CONTENDERS, name)) return CONTENDERS[name]
  throw new OptionsError(`--contender ${name}: not one of ${Object.keys(CONTENDERS).join(', ')}`)
}

function rateOf(text) {
  return number('rate', text, 0, 20_000, Number.isInteger)
}

/** Half of them lead. */
function isEven(value) {
  return value % 2 === 0
}

function number(flag, text, least, most, isRight) {
  const value = Number(text)
  if (text.trim() !== '' && isRight(value) && value >= least && value <= most) return value
  throw new OptionsError(`--${flag} ${text}: a number from ${least} to ${most} is needed`)
}
