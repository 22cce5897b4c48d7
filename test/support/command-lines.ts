/** One command line for each command that talks to a cluster, as far into its work as it gets without a question. */
import path from 'node:path'

/** `seed`: where it is to begin. `folder`: for files. Without the flags of the connection. */
export type CommandLine = (seed: string, folder: string) => string[]

const ID = 'b'.repeat(40)

export const COMMAND_LINES: Readonly<Record<string, CommandLine>> = {
  'acl:delete': (seed) => ['acl:delete', seed, 'app', '--yes'],
  'acl:list': (seed) => ['acl:list', seed],
  'acl:set': (seed) => ['acl:set', seed, 'app', 'on', '--yes'],
  'add-node': (seed) => ['add-node', seed, seed.replace(/:\d+$/, ':1'), '--seed', seed, '--yes'],
  backup: (seed, folder) => ['backup', seed, path.join(folder, `backup-${seed.replace(/\W/g, '-')}`)],
  call: (seed) => ['call', seed, '--', 'PING'],
  check: (seed) => ['check', seed],
  clients: (seed) => ['clients', seed],
  'config:diff': (seed) => ['config:diff', seed],
  'config:set': (seed) => ['config:set', seed, 'maxmemory', '1gb', '--yes'],
  create: (seed) => ['create', seed, '127.0.0.1:2', '127.0.0.1:3', '--yes'],
  'del-node': (seed) => ['del-node', seed, ID, '--yes'],
  diff: (seed) => ['diff', seed, seed],
  'explain:slot': (seed) => ['explain:slot', '0', '--seed', seed],
  failover: (seed) => ['failover', seed, '--yes'],
  fix: (seed) => ['fix', seed, '--yes'],
  forget: (seed) => ['forget', seed, ID, '--yes'],
  heal: (seed) => ['heal', seed, '--accept-data-loss', '--yes'],
  'functions:list': (seed) => ['functions:list', seed],
  'functions:sync': (seed) => ['functions:sync', seed, '--yes'],
  import: (seed) => ['import', seed, '--from', '127.0.0.1:1', '--yes'],
  info: (seed) => ['info', seed],
  rebalance: (seed) => ['rebalance', seed, '--yes'],
  'replace-node': (seed) => ['replace-node', ID, seed, '--seed', seed, '--yes'],
  replicate: (seed) => ['replicate', seed, ID, '--yes'],
  reshard: (seed) => ['reshard', seed, '--from', 'all', '--to', ID, '--slots', '10', '--yes'],
  restore: (seed, folder) => ['restore', path.join(folder, 'empty.rdb'), seed, '--yes'],
  roll: (seed) => ['roll', seed, '--exec', 'exit 7', '--yes'],
  'set-timeout': (seed) => ['set-timeout', seed, '5000', '--yes'],
  snapshot: (seed, folder) => ['snapshot', seed, '--out', snapshotFile(seed, folder)],
  wait: (seed) => ['wait', seed, '--timeout', '700ms'],
  watch: (seed) => ['watch', seed, '--count', '2', '--interval', '200ms'],
  'drop-in:add-node': (seed) => ['--cluster', 'add-node', '127.0.0.1:1', seed],
  'drop-in:backup': (seed, folder) => ['--cluster', 'backup', seed, folder],
  'drop-in:call': (seed) => ['--cluster', 'call', seed, 'PING'],
  'drop-in:check': (seed) => ['--cluster', 'check', seed],
  'drop-in:create': (seed) => ['--cluster', 'create', seed, '127.0.0.1:2', '127.0.0.1:3', '--cluster-yes'],
  'drop-in:del-node': (seed) => ['--cluster', 'del-node', seed, ID],
  'drop-in:fix': (seed) => ['--cluster', 'fix', seed],
  'drop-in:import': (seed) => ['--cluster', 'import', seed, '--cluster-from', '127.0.0.1:1'],
  'drop-in:info': (seed) => ['--cluster', 'info', seed],
  'drop-in:rebalance': (seed) => ['--cluster', 'rebalance', seed],
  'drop-in:reshard': (seed) => [
    ...['--cluster', 'reshard', seed, '--cluster-from', 'all', '--cluster-to', ID],
    ...['--cluster-slots', '10', '--cluster-yes'],
  ],
  'drop-in:set-timeout': (seed) => ['--cluster', 'set-timeout', seed, '5000'],
}

/**
 * Deep into the work of each command, on a cluster of primaries A, B, C and an empty D, of E, a replica of A, and of three
 * strangers: their addresses and IDs in this order, and the address of a server without a cluster.
 */
export type MemberLine = (at: readonly string[], ids: readonly string[], folder: string, source: string) => string[]

function snapshotFile(seed: string, folder: string): string {
  return path.join(folder, `snapshot-${seed.replace(/\W/g, '-')}.json`)
}

/** Without the flags of the connection. */
export const MEMBER_LINES: Readonly<Record<string, MemberLine>> = {
  'acl:delete': ([a = '']) => ['acl:delete', a, 'app', '--yes'],
  'acl:list': ([a = '']) => ['acl:list', a],
  'acl:set': ([a = '']) => ['acl:set', a, 'default', 'on', '--save', '--yes'],
  'add-node': ([a = '', , , , , f = '']) => ['add-node', f, a, '--yes'],
  backup: ([a = ''], _ids, folder) => ['backup', a, path.join(folder, `backup-${a.replace(/\W/g, '-')}`)],
  call: ([a = '']) => ['call', a, '--', 'PING'],
  check: ([a = '']) => ['check', a],
  clients: ([a = '']) => ['clients', a],
  'config:diff': ([a = '']) => ['config:diff', a],
  'config:set': ([a = '']) => ['config:set', a, 'maxmemory', '1gb', '--rewrite', '--yes'],
  create: ([, , , , , f = '', g = '', h = '']) => ['create', f, g, h, '--yes'],
  'del-node': ([a = '', , , d = '']) => ['del-node', a, d, '--yes'],
  diff: ([a = '', b = '']) => ['diff', a, b],
  'explain:slot': ([a = '']) => ['explain:slot', '0', '--seed', a],
  failover: ([a = '', , , , e = '']) => ['failover', e, '--seed', a, '--yes'],
  fix: ([a = '']) => ['fix', a, '--yes'],
  forget: ([a = '', , , d = '']) => ['forget', a, d, '--yes'],
  heal: ([a = '']) => ['heal', a, '--accept-data-loss', '--yes'],
  'functions:list': ([a = '']) => ['functions:list', a],
  'functions:sync': ([a = '']) => ['functions:sync', a, '--yes'],
  import: ([a = ''], _ids, _folder, source) => ['import', a, '--from', source, '--yes'],
  info: ([a = '']) => ['info', a, '--map', '--heat', 'cpu'],
  rebalance: ([a = '']) => ['rebalance', a, '--threshold', '0', '--yes'],
  'replace-node': ([a = '', , , d = '', , f = '']) => ['replace-node', a, d, f, '--yes'],
  replicate: ([a = '', b = '', , d = '']) => ['replicate', d, b, '--seed', a, '--yes'],
  reshard: ([a = ''], [, , , d = '']) => ['reshard', a, '--from', 'all', '--to', d, '--slots', '3', '--yes'],
  restore: ([a = ''], _ids, folder) => ['restore', path.join(folder, 'empty.rdb'), a, '--yes'],
  roll: ([a = '']) => ['roll', a, '--exec', 'exit 7', '--allow-unserved', '--yes'],
  'set-timeout': ([a = '']) => ['set-timeout', a, '5000', '--yes'],
  snapshot: ([a = ''], _ids, folder) => ['snapshot', a, '--out', snapshotFile(a, folder), '--yes'],
  wait: ([a = '']) => ['wait', a, '--for', 'agreed', '--timeout', '2s'],
  watch: ([a = '']) => ['watch', a, '--count', '2', '--interval', '200ms'],
  'drop-in:add-node': ([a = '', , , , , f = '']) => ['--cluster', 'add-node', f, a],
  'drop-in:backup': ([a = ''], _ids, folder) => ['--cluster', 'backup', a, folder],
  'drop-in:call': ([a = '']) => ['--cluster', 'call', a, 'PING'],
  'drop-in:check': ([a = '']) => ['--cluster', 'check', a],
  'drop-in:create': ([, , , , , f = '', g = '', h = '']) => ['--cluster', 'create', f, g, h, '--cluster-yes'],
  'drop-in:del-node': ([a = ''], [, , , d = '']) => ['--cluster', 'del-node', a, d],
  'drop-in:fix': ([a = '']) => ['--cluster', 'fix', a],
  'drop-in:import': ([a = ''], _ids, _folder, source) => ['--cluster', 'import', a, '--cluster-from', source],
  'drop-in:info': ([a = '']) => ['--cluster', 'info', a],
  'drop-in:rebalance': ([a = '']) => ['--cluster', 'rebalance', a, '--cluster-threshold', '0'],
  'drop-in:reshard': ([a = ''], [idOfA = '', , , d = '']) => [
    ...['--cluster', 'reshard', a, '--cluster-from', idOfA, '--cluster-to', d],
    ...['--cluster-slots', '3', '--cluster-yes'],
  ],
  'drop-in:set-timeout': ([a = '']) => ['--cluster', 'set-timeout', a, '5000'],
}
