// Who is compared, and how is each told what to move?
import path from 'node:path'
import {fileURLToPath} from 'node:url'

const OWN_PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

/** `command(move, cluster, servers)` gives the program and its arguments. */
export const CONTENDERS = {
  genuine: {name: 'genuine', title: ({cli}) => cli, command: genuine()},
  'genuine-100': {
    name: 'genuine-100',
    title: ({cli}) => `${cli} --cluster-pipeline 100`,
    command: genuine('--cluster-pipeline', '100'),
  },
  rcluster: {name: 'rcluster', title: () => 'rcluster', command: rcluster(OWN_PROGRAM)},
}

/** Another build, by the path of its bin/run.js. */
export function programContender(file) {
  const program = path.resolve(file)
  return {name: program, title: () => `rcluster in ${path.dirname(path.dirname(program))}`, command: rcluster(program)}
}

function genuine(...options) {
  return (move, {seed, ids}, {cliPath}) => {
    const words =
      move.kind === 'reshard'
        ? [
            ...['reshard', seed, '--cluster-from', ids[0], '--cluster-to', ids[1]],
            ...['--cluster-slots', String(move.slots), '--cluster-yes'],
          ]
        : ['rebalance', seed, '--cluster-use-empty-masters']
    return [cliPath, '--cluster', ...words, ...options]
  }
}

function rcluster(program) {
  return (move, {seed, ids}) => {
    const words =
      move.kind === 'reshard'
        ? // The genuine one takes the first slots of its source.
          ['reshard', seed, '--from', ids[0], '--to', ids[1], '--slots-list', `0-${move.slots - 1}`, '--yes']
        : ['rebalance', seed, '--use-empty', '--yes']
    return [process.execPath, program, ...words]
  }
}

/** Is the cluster whole? Asked of both: neither is judge in its own cause. */
export function checkCommands({seed}, {cliPath}) {
  return [
    [cliPath, '--cluster', 'check', seed],
    [process.execPath, OWN_PROGRAM, 'check', seed],
  ]
}
