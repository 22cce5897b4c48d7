// Who is compared, and how is each told what to do?
import path from 'node:path'
import {fileURLToPath} from 'node:url'

const OWN_PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const MOVES = ['reshard', 'rebalance']
const ALL = [...MOVES, 'create', 'check', 'version']
/** What a Node.js process that only starts and ends can be compared with. */
const LOOKS = ['check', 'version']

/**
 * `command(work, cluster, server)` gives the program and its arguments; `can` names the kinds of work; `runsOn(server)`
 * says where its flags mean something.
 */
export const CONTENDERS = byName([
  {name: 'genuine', title: ({cli}) => cli, command: genuine(), can: ALL},
  {
    name: 'genuine-100',
    title: ({cli}) => `${cli} --cluster-pipeline 100`,
    command: genuine('--cluster-pipeline', '100'),
    can: MOVES,
  },
  {
    name: 'genuine-atomic',
    title: ({cli}) => `${cli} --cluster-use-atomic-slot-migration`,
    command: genuine('--cluster-use-atomic-slot-migration'),
    can: MOVES,
    runsOn: ({cli, version}) => cli === 'valkey-cli' && Number.parseInt(version, 10) >= 9,
  },
  own('rcluster', OWN_PROGRAM, {can: ALL}),
  own('rcluster-migrate', OWN_PROGRAM, {options: ['--mover', 'migrate']}),
  own('rcluster-fast', OWN_PROGRAM, {options: ['--mover', 'migrate', '--max-pause', '5ms', '--concurrency', '2']}),
  {name: 'node', title: () => 'node -e 0', command: () => [process.execPath, '-e', '0'], can: LOOKS},
])

/** Another build, by the path of its bin/run.js. */
export function programContender(file) {
  const program = path.resolve(file)
  const title = `rcluster in ${path.dirname(path.dirname(program))}`
  return {...own(program, program, {can: ALL}), title: () => title}
}

/** Those of `contenders` that can do this work on this server. */
export function fitting(contenders, server, {kind}) {
  return contenders.filter(({can, runsOn}) => can.includes(kind) && (runsOn?.(server) ?? true))
}

function byName(contenders) {
  return Object.fromEntries(contenders.map((contender) => [contender.name, contender]))
}

function genuine(...options) {
  const words = {
    reshard: ({slots}, {seed, ids}) => [
      ...['reshard', seed, '--cluster-from', ids[0], '--cluster-to', ids[1]],
      ...['--cluster-slots', String(slots), '--cluster-yes'],
    ],
    rebalance: ({emptied = 0}, {seed, ids}) =>
      emptied > 0
        ? ['rebalance', seed, '--cluster-weight', ...ids.slice(-emptied).map((id) => `${id}=0`)]
        : ['rebalance', seed, '--cluster-use-empty-masters'],
    create: ({replicas}, {addresses}) => [
      ...['create', ...addresses, '--cluster-replicas', String(replicas), '--cluster-yes'],
    ],
    check: (_, {seed}) => ['check', seed],
  }
  return (work, cluster, {cliPath}) =>
    work.kind === 'version'
      ? [cliPath, '--version']
      : [cliPath, '--cluster', ...words[work.kind](work, cluster), ...options]
}

function own(name, program, {can = MOVES, options = []} = {}) {
  const words = {
    reshard: ({slots}, {seed, ids}) =>
      // The genuine one takes the first slots of its source.
      ['reshard', seed, '--from', ids[0], '--to', ids[1], '--slots-list', `0-${slots - 1}`, '--yes'],
    rebalance: ({emptied = 0}, {seed, ids}) =>
      emptied > 0
        ? [
            'rebalance',
            seed,
            '--weight',
            ids
              .slice(-emptied)
              .map((id) => `${id}=0`)
              .join(),
            '--yes',
          ]
        : ['rebalance', seed, '--use-empty', '--yes'],
    create: ({replicas}, {addresses}) => ['create', ...addresses, '--replicas', String(replicas), '--yes'],
    check: (_, {seed}) => ['check', seed],
    version: () => ['--version'],
  }
  return {
    name,
    title: () => ['rcluster', ...options].join(' '),
    command: (work, cluster) => [process.execPath, program, ...words[work.kind](work, cluster), ...options],
    can,
    isOwn: true,
  }
}

/** Is the cluster whole? Asked of both: neither is judge in its own cause. */
export function checkCommands({seed}, {cliPath}) {
  return [
    [cliPath, '--cluster', 'check', seed],
    [process.execPath, OWN_PROGRAM, 'check', seed],
  ]
}
