/** What does "--cluster help" print? */

const SUBCOMMANDS: readonly (readonly [string, string, readonly string[]])[] = [
  ['create', 'host1:port1 ... hostN:portN', ['replicas <arg>']],
  ['check', '<host:port> or <host> <port> - separated by either colon or space', ['search-multiple-owners']],
  ['info', '<host:port> or <host> <port> - separated by either colon or space', []],
  [
    'fix',
    '<host:port> or <host> <port> - separated by either colon or space',
    ['search-multiple-owners', 'fix-with-unreachable-masters|primaries', 'replace'],
  ],
  [
    'reshard',
    '<host:port> or <host> <port> - separated by either colon or space',
    [
      ...['from <arg>', 'to <arg>', 'slots <arg>', 'yes', 'timeout <arg>', 'pipeline <arg>', 'replace'],
      'use-atomic-slot-migration',
    ],
  ],
  [
    'rebalance',
    '<host:port> or <host> <port> - separated by either colon or space',
    [
      ...['weight <node1=w1...nodeN=wN>', 'use-empty-masters|primaries', 'timeout <arg>', 'simulate', 'pipeline <arg>'],
      ...['threshold <arg>', 'replace', 'use-atomic-slot-migration'],
    ],
  ],
  ['add-node', 'new_host:new_port existing_host:existing_port', ['slave|replica', 'master-id|primary-id <arg>']],
  ['del-node', 'host:port node_id', []],
  ['call', 'host:port command arg arg .. arg', ['only-masters|primaries', 'only-replicas']],
  ['set-timeout', 'host:port milliseconds', []],
  [
    'import',
    'host:port',
    ['from <arg>', 'from-user <arg>', 'from-pass <arg>', 'from-askpass', 'copy', 'replace', 'timeout <arg>'],
  ],
  ['backup', 'host:port backup_directory', []],
  ['help', '', []],
]

export function renderDropInHelp(): string {
  const commands = SUBCOMMANDS.map(([name, words, options]) =>
    [
      `  ${`${name.padEnd(14)} ${words}`.trimEnd()}`,
      ...options.map((option) => `${' '.repeat(17)}--cluster-${option}`),
    ].join('\n'),
  )
  return [
    'Cluster Manager Commands:',
    ...commands,
    '',
    'For check, fix, reshard, del-node, set-timeout, info, rebalance, call, import, backup you can specify the host and port of any working node in the cluster.',
    '',
    'Cluster Manager Options:',
    '  --cluster-yes  Automatic yes to cluster commands prompts',
    '',
    'These are the forms of redis-cli and valkey-cli. The commands of rcluster itself: rcluster --help',
  ].join('\n')
}
