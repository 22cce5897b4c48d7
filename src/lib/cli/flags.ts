/** Which flags do commands share, and how are their values read? */
import * as Flags from '@oclif/core/flags'
import {parseDecimal, parseDurationMs, parseInteger, parsePositiveInteger, parseSizeBytes} from './numbers.ts'

/** "--slots 12": 1 or more, up to `max` where given. */
export const positiveInteger = Flags.custom<number, {max?: number}>({
  helpValue: 'N',
  parse: async (text, _context, {name, max}) => parsePositiveInteger(text, `--${name}`, max),
})

/** 0 or more. */
export const wholeNumber = Flags.custom<number, {max?: number}>({
  helpValue: 'N',
  parse: async (text, _context, {name, max}) => parseInteger(text, `--${name}`, 0, max),
})

/** 0 … 100, decimals allowed. */
export const percentage = Flags.custom<number>({
  helpValue: 'PERCENT',
  parse: async (text, _context, {name}) => parseDecimal(text, `--${name}`, 0, 100),
})

/** "30", "30s", "5m", "500ms" to milliseconds. */
export const duration = Flags.custom<number>({
  helpValue: 'TIME',
  parse: async (text, _context, {name}) => parseDurationMs(text, `--${name}`),
})

/** "10mb", "512k", bytes without a unit. */
export const size = Flags.custom<number>({
  helpValue: 'SIZE',
  parse: async (text, _context, {name}) => parseSizeBytes(text, `--${name}`),
})

/** Repeatable and comma separated, without swallowing the arguments that follow. */
export const list = Flags.custom<string>({multiple: true, multipleNonGreedy: true, delimiter: ','})

const OUTPUT = 'OUTPUT'
const CONNECTION = 'CONNECTION'

export const outputFlags = {
  json: Flags.boolean({
    summary: 'Print one JSON document on stdout, for failures too.',
    default: false,
    helpGroup: OUTPUT,
  }),
  quiet: Flags.boolean({char: 'q', summary: 'No progress and no notes.', default: false, helpGroup: OUTPUT}),
  verbose: Flags.boolean({summary: 'Tell more; stack traces of faults.', default: false, helpGroup: OUTPUT}),
  'no-color': Flags.boolean({summary: 'No colours; so does NO_COLOR.', default: false, helpGroup: OUTPUT}),
  progress: Flags.option({options: ['auto', 'plain', 'ndjson'] as const})({
    summary: 'How progress is told on stderr.',
    default: 'auto',
    helpGroup: OUTPUT,
  }),
  timeout: duration({
    summary: 'Stop when the whole command is not done in this time (30, 30s, 5m, 500ms).',
    helpGroup: OUTPUT,
  }),
}

export const connectionFlags = {
  seed: list({
    summary: 'Any node of the cluster; may repeat, the first that answers is used. Also RCLUSTER_SEED.',
    helpValue: 'NODE',
    helpGroup: CONNECTION,
  }),
  context: Flags.string({
    summary: 'The cluster, login and TLS that "context add" gave this name; "none": no context. Also RCLUSTER_CONTEXT.',
    helpValue: 'CONTEXT',
    helpGroup: CONNECTION,
  }),
  user: Flags.string({summary: 'ACL user to log in as.', helpValue: 'NAME', helpGroup: CONNECTION}),
  password: Flags.string({
    char: 'a',
    summary: 'Password; shows in the process list, better: RCLUSTER_PASSWORD.',
    aliases: ['pass'],
    helpValue: 'TEXT',
    helpGroup: CONNECTION,
    noCacheDefault: true,
  }),
  'password-file': Flags.string({
    summary: 'Read the password from a file, "-" for stdin.',
    helpValue: 'FILE',
    helpGroup: CONNECTION,
    exclusive: ['password', 'askpass'],
  }),
  credentials: Flags.string({
    summary: 'Users and passwords that differ from node to node: a file of lines "NODE USER PASSWORD", "-" for stdin.',
    helpValue: 'FILE',
    helpGroup: CONNECTION,
  }),
  askpass: Flags.boolean({summary: 'Ask for the password.', default: false, helpGroup: CONNECTION}),
  tls: Flags.boolean({summary: 'Connect with TLS.', default: false, helpGroup: CONNECTION}),
  cacert: Flags.string({
    summary: "Verify the servers' certificates with this CA file.",
    helpValue: 'FILE',
    helpGroup: CONNECTION,
  }),
  cacertdir: Flags.string({
    summary: 'As --cacert, all files of a folder.',
    helpValue: 'DIR',
    helpGroup: CONNECTION,
  }),
  cert: Flags.string({
    summary: 'Client certificate; needs --key.',
    helpValue: 'FILE',
    helpGroup: CONNECTION,
    dependsOn: ['key'],
  }),
  key: Flags.string({
    summary: 'Private key of --cert.',
    helpValue: 'FILE',
    helpGroup: CONNECTION,
    dependsOn: ['cert'],
  }),
  sni: Flags.string({summary: 'Server name to ask for with TLS.', helpValue: 'NAME', helpGroup: CONNECTION}),
  insecure: Flags.boolean({summary: 'Do not verify certificates.', default: false, helpGroup: CONNECTION}),
  'tls-verify': Flags.option({options: ['chain', 'names', 'full'] as const})({
    summary:
      'Beyond the chain: the names of nodes that go by one (names, the default), the name or address of all (full).',
    helpGroup: CONNECTION,
    exclusive: ['insecure'],
  }),
  'tls-ciphers': Flags.string({
    summary: 'Ciphers before TLS 1.3, as OpenSSL names them.',
    helpValue: 'LIST',
    helpGroup: CONNECTION,
  }),
  'tls-ciphersuites': Flags.string({
    summary: 'Cipher suites of TLS 1.3, as OpenSSL names them.',
    helpValue: 'LIST',
    helpGroup: CONNECTION,
  }),
  'address-map': list({
    summary:
      'Dial the second for a node that announces the first: addresses, hosts, "*", a node ID; @FILE; may repeat.',
    helpValue: 'ANNOUNCED=DIALLED',
    helpGroup: CONNECTION,
  }),
  remember: Flags.boolean({
    summary:
      'Remember where nodes behind mapped addresses were reached, and names of nodes for completion; RCLUSTER_REMEMBER=0: never.',
    default: true,
    allowNo: true,
    env: 'RCLUSTER_REMEMBER',
    helpGroup: CONNECTION,
  }),
  'connect-timeout': duration({
    summary: 'How long a node may take to accept a connection.',
    default: 3000,
    defaultHelp: async () => '3s' as never,
    helpGroup: CONNECTION,
  }),
  'command-timeout': duration({
    summary: 'How long a node may take to answer.',
    default: 5000,
    defaultHelp: async () => '5s' as never,
    helpGroup: CONNECTION,
  }),
}

/** For commands that make nodes forget others. */
export const watchFlag = Flags.boolean({
  summary: 'Stay for a good minute until the servers no longer ban the ID, and forget it again if it comes back.',
  default: false,
})

/** For commands that change something. */
export const changeFlags = {
  yes: Flags.boolean({
    char: 'y',
    summary: 'Go ahead without a question.',
    default: false,
    aliases: ['cluster-yes'],
  }),
  'dry-run': Flags.boolean({
    summary: 'Show what would be done, and change nothing.',
    default: false,
    aliases: ['cluster-simulate'],
  }),
}

/** For commands whose plan can be kept and carried out later; see PlannedCommand. */
export const planFlags = {
  out: Flags.string({
    summary: 'Write the plan to a file for rcluster apply, and change nothing; "-": to stdout.',
    helpValue: 'FILE',
  }),
}

/** For commands that nobody else may disturb; see ClusterCommand.lockCluster. */
export const lockFlags = {
  'take-lock': Flags.boolean({
    summary: 'Stop another rcluster that is at work on the cluster, wherever it runs, and go ahead.',
    default: false,
  }),
}
