import {describe, expect, test} from 'vitest'
import {isDropInForm} from '../../../src/lib/cli/drop-in/form.ts'
import {parseDropInArgv, toNativeArgv, undisguised} from '../../../src/lib/cli/drop-in/parse-argv.ts'
import {UsageError} from '../../../src/lib/errors.ts'

const ID = 'a'.repeat(40)
const OTHER = 'B'.repeat(40)

/** A line of a script; single quotes keep spaces and newlines together. */
function split(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
}

interface Row {
  readonly line: string
  readonly env?: Record<string, string>
  /** "SUB WORD WORD", words joined by a space. */
  readonly asks: string
  readonly flags?: Record<string, unknown>
}

const accepted: readonly Row[] = [
  // Addresses.
  {line: '--cluster check 127.0.0.1:7000', asks: 'check 127.0.0.1:7000'},
  {line: '--cluster check 127.0.0.1 7000', asks: 'check 127.0.0.1:7000'},
  {line: '--cluster info 127.0.0.1:7000@17000', asks: 'info 127.0.0.1:7000'},
  {line: '--cluster info 127.0.0.1:7000@17000,host-1', asks: 'info 127.0.0.1:7000'},
  {line: '--cluster check [::1]:7000', asks: 'check [::1]:7000'},
  {line: '--cluster check ::1:7000', asks: 'check [::1]:7000'},
  {line: '--cluster check ::1 7000', asks: 'check [::1]:7000'},
  {line: '--cluster check localhost:7000', asks: 'check localhost:7000'},
  {line: '-h 10.0.0.1 -p 7000 --cluster check', asks: 'check 10.0.0.1:7000'},
  {line: '-p 7000 --cluster info', asks: 'info 127.0.0.1:7000'},
  {line: '-h ::1 --cluster info', asks: 'info [::1]:6379'},
  {line: '-h 10.0.0.1 -p 9 --cluster check 10.0.0.2:7000', asks: 'check 10.0.0.2:7000'},
  {line: '-s /tmp/socket --cluster check', asks: 'check /tmp/socket'},
  {line: '-h 10.0.0.1 -p 9 -s /tmp/socket --cluster info', asks: 'info /tmp/socket'},
  {line: '--cluster check /tmp/socket', asks: 'check /tmp/socket'},
  {
    line: '-u unix://me:word@/tmp/socket --cluster check',
    asks: 'check /tmp/socket',
    flags: {user: 'me', password: 'word'},
  },
  {line: '-s /tmp/socket --cluster check 10.0.0.2:7000', asks: 'check 10.0.0.2:7000'},
  {
    line: '--cluster create 127.0.0.1:7000 localhost:7001 [::1]:7002 --cluster-replicas 0',
    asks: 'create 127.0.0.1:7000 localhost:7001 [::1]:7002',
    flags: {replicas: '0'},
  },
  // Options before and after, words after the options.
  {line: '--cluster-yes --cluster create a:1', asks: 'create a:1', flags: {yes: true}},
  {line: '--cluster create --cluster-yes a:1 b:2', asks: 'create a:1 b:2', flags: {yes: true}},
  {
    line: '--cluster-replicas 1 --cluster create --cluster-yes a:1 b:2 --no-auth-warning -4',
    asks: 'create a:1 b:2',
    flags: {replicas: '1', yes: true},
  },
  // Both vocabularies.
  ...['--cluster-slave', '--cluster-replica'].map((option) => ({
    line: `--cluster add-node a:1 b:2 ${option} --cluster-master-id ${ID}`,
    asks: 'add-node a:1 b:2',
    flags: {replica: true, 'primary-id': ID},
  })),
  {line: `--cluster add-node a:1 b:2 --cluster-primary-id x`, asks: 'add-node a:1 b:2', flags: {'primary-id': 'x'}},
  {line: '--cluster rebalance a:1 --cluster-use-empty-masters', asks: 'rebalance a:1', flags: {'use-empty': true}},
  {line: '--cluster rebalance a:1 --cluster-use-empty-primaries', asks: 'rebalance a:1', flags: {'use-empty': true}},
  {
    line: '--cluster fix a:1 --cluster-fix-with-unreachable-masters --cluster-search-multiple-owners',
    asks: 'fix a:1',
    flags: {'fix-with-unreachable': true, 'search-multiple-owners': true},
  },
  {
    line: '--cluster fix a:1 --cluster-fix-with-unreachable-primaries',
    asks: 'fix a:1',
    flags: {'fix-with-unreachable': true},
  },
  {line: '--cluster call a:1 PING --cluster-only-masters', asks: 'call a:1 PING', flags: {'only-primaries': true}},
  {line: '--cluster call a:1 PING --cluster-only-primaries', asks: 'call a:1 PING', flags: {'only-primaries': true}},
  {line: '--cluster call a:1 PING --cluster-only-replicas', asks: 'call a:1 PING', flags: {'only-replicas': true}},
  // Lists: repeated, by commas, by spaces.
  {
    line: `--cluster reshard a:1 --cluster-from ${ID},${OTHER} --cluster-to ${ID} --cluster-slots 10`,
    asks: 'reshard a:1',
    flags: {from: [ID, OTHER], to: ID, slots: '10'},
  },
  {
    line: `--cluster reshard a:1 --cluster-from ${ID} ${OTHER} --cluster-from all --cluster-yes`,
    asks: 'reshard a:1',
    flags: {from: [ID, OTHER, 'all'], yes: true},
  },
  {line: `--cluster reshard --cluster-from ${ID} a:1`, asks: 'reshard a:1', flags: {from: [ID]}},
  {line: `--cluster reshard a:1 --cluster-from '${ID}, ${OTHER}'`, asks: 'reshard a:1', flags: {from: [ID, OTHER]}},
  {
    line: '--cluster rebalance a:1 --cluster-weight aa=2 bb=0.5,cc=0 --cluster-weight dd=1 --cluster-simulate',
    asks: 'rebalance a:1',
    flags: {weight: ['aa=2', 'bb=0.5', 'cc=0', 'dd=1'], 'dry-run': true},
  },
  {line: '--cluster rebalance --cluster-weight aa=2 a:1', asks: 'rebalance a:1', flags: {weight: ['aa=2']}},
  // Numbers.
  {
    line: '--cluster reshard a:1 --cluster-timeout 5000 --cluster-pipeline 100 --cluster-replace',
    asks: 'reshard a:1',
    flags: {'migrate-timeout': '5000', pipeline: '100', replace: true},
  },
  {line: '--cluster rebalance a:1 --cluster-threshold 1.5', asks: 'rebalance a:1', flags: {threshold: '1.5'}},
  {line: '-t 2.5 --cluster check a:1', asks: 'check a:1', flags: {'connect-timeout': '2500ms'}},
  {line: '-t 0 --cluster check a:1', asks: 'check a:1'},
  // Logins.
  {line: '-a secret --cluster check a:1', asks: 'check a:1', flags: {password: 'secret'}},
  {line: '--cluster check a:1 --pass -x', asks: 'check a:1', flags: {password: '-x'}},
  {line: '--user me --pass p --cluster check a:1', asks: 'check a:1', flags: {user: 'me', password: 'p'}},
  {line: '--user me --cluster check a:1', asks: 'check a:1'},
  {line: '--user me --cluster check a:1', env: {REDISCLI_AUTH: 'p'}, asks: 'check a:1', flags: {user: 'me'}},
  {line: '--user me --cluster check a:1', env: {VALKEYCLI_AUTH: 'p'}, asks: 'check a:1', flags: {user: 'me'}},
  {line: '--user me --askpass --cluster check a:1', asks: 'check a:1', flags: {user: 'me', askpass: true}},
  {
    line: '-u rediss://me:p%40ss@10.0.0.1:7000 --cluster check',
    asks: 'check 10.0.0.1:7000',
    flags: {user: 'me', password: 'p@ss', tls: true},
  },
  {line: '-u redis://p@10.0.0.1:7000 --cluster check b:2', asks: 'check b:2', flags: {password: 'p'}},
  // Yes from the environment, only as 1.
  {line: '--cluster create a:1', env: {REDISCLI_CLUSTER_YES: '1'}, asks: 'create a:1', flags: {yes: true}},
  {line: '--cluster create a:1', env: {VALKEYCLI_CLUSTER_YES: '1'}, asks: 'create a:1', flags: {yes: true}},
  {line: '--cluster create a:1', env: {REDISCLI_CLUSTER_YES: 'yes'}, asks: 'create a:1'},
  // TLS.
  {
    line: '--tls --cacert ca --cert c --key k --sni s --insecure --cacertdir d --tls-ciphers x --tls-ciphersuites y --cluster check a:1',
    asks: 'check a:1',
    flags: {
      ...{tls: true, cacert: 'ca', cert: 'c', key: 'k', sni: 's', insecure: true, cacertdir: 'd'},
      ...{'tls-ciphers': 'x', 'tls-ciphersuites': 'y'},
    },
  },
  {line: '--cacert ca --cluster check a:1', asks: 'check a:1'},
  // The rest.
  {line: '-x --cluster call a:1 SET k', asks: 'call a:1 SET k', flags: {'stdin-last': true}},
  {line: '-x --cluster call a:1', asks: 'call a:1', flags: {'stdin-last': true}},
  {line: '-X tag --cluster call a:1 SET tag v', asks: 'call a:1 SET tag v', flags: {'stdin-tag': 'tag'}},
  {line: '--verbose --cluster rebalance a:1', asks: 'rebalance a:1', flags: {verbose: true}},
  {
    line: '--cluster import a:1 --cluster-from b:2 --cluster-from-user u --cluster-from-pass p --cluster-copy',
    asks: 'import a:1',
    flags: {from: ['b:2'], 'from-user': 'u', 'from-pass': 'p', copy: true},
  },
  {
    line: '--cluster import a:1 --cluster-from b:2 --cluster-from-askpass',
    asks: 'import a:1',
    flags: {from: ['b:2'], 'from-askpass': true},
  },
  {line: '--cluster backup a:1 ./dir', asks: 'backup a:1 ./dir'},
  {line: '--cluster set-timeout a:1 5000', asks: 'set-timeout a:1 5000'},
  {line: `--cluster del-node a:1 ${ID}`, asks: `del-node a:1 ${ID}`},
  {line: '--cluster call a:1 FUNCTION LOAD \'#!lua\n "x"\'', asks: 'call a:1 FUNCTION LOAD #!lua\n "x"'},
  {
    line: '--cluster rebalance a:1 --cluster-use-atomic-slot-migration',
    asks: 'rebalance a:1',
    flags: {atomic: true},
  },
  {line: '--cluster help', asks: 'help'},
  {line: '--cluster create --help', asks: 'help'},
  {line: '--cluster --help', asks: 'help'},
]

describe('what is accepted', () => {
  test.each(accepted)('$line', ({line, env = {}, asks, flags = {}}) => {
    expect(isDropInForm(split(line))).toBe(true)
    const request = parseDropInArgv(split(line), env)
    expect([request.subcommand, ...request.words].join(' ')).toBe(asks)
    expect(request.flags).toEqual(flags)
  })
})

const ARITY = 'Wrong number of arguments for specified --cluster sub command'

const refused: readonly {readonly line: string; readonly says: string}[] = [
  {line: '--cluster', says: "'--cluster'"},
  {line: '--cluster nonsense a:1', says: 'Unknown --cluster subcommand'},
  {line: '--cluster check a:1 --cluster info a:1', says: "'--cluster'"},
  {line: '--cluster check', says: ARITY},
  {line: '--cluster check a b c', says: ARITY},
  {line: '--cluster add-node a:1', says: ARITY},
  {line: '--cluster del-node a:1', says: ARITY},
  {line: '--cluster create', says: ARITY},
  {line: '--cluster call a:1', says: ARITY},
  {line: '-h a -p 1 --cluster call PING', says: ARITY},
  {line: '--cluster check 127.0.0.1', says: 'Invalid arguments: you need to pass either a valid address'},
  {line: '--cluster check :7000', says: 'Invalid arguments'},
  {line: '--cluster check a:99999', says: '"99999"'},
  {line: '--cluster create a:1 b', says: 'Invalid arguments'},
  {line: '--cluster check a:1 --cluster-foo', says: "'--cluster-foo'"},
  {line: '--cluster call a:1 GET -1', says: "'-1'"},
  {line: '--cluster reshard a:1 --cluster-slots', says: "'--cluster-slots'"},
  {
    line: '--cluster reshard a:1 --cluster-slots abc',
    says: '--cluster-slots must be a whole number, from 0 to 16384, not "abc"',
  },
  {line: '--cluster reshard a:1 --cluster-slots 20000', says: 'not "20000"'},
  {line: '--cluster reshard a:1 --cluster-slots -5', says: 'not "-5"'},
  {line: '--cluster create a:1 --cluster-replicas 1.5', says: '--cluster-replicas must be'},
  {line: '--cluster rebalance a:1 --cluster-threshold 2%', says: '--cluster-threshold must be a number'},
  {line: '--cluster rebalance a:1 --cluster-weight aa', says: '--cluster-weight must be NODE=WEIGHT, not "aa"'},
  {line: '--cluster rebalance a:1 --cluster-weight aa=x', says: '--cluster-weight aa must be a number'},
  {line: '--cluster rebalance a:1 --cluster-weight aa=-1', says: '--cluster-weight aa must be'},
  {line: '--cluster reshard a:1 --cluster-timeout 0', says: '--cluster-timeout'},
  {line: '--cluster reshard a:1 --cluster-pipeline 0', says: '--cluster-pipeline'},
  {line: '-p 0 --cluster check a:1', says: '-p must be a whole number, from 1 to 65535'},
  {line: '-t soon --cluster check a:1', says: '-t must be a number'},
  {line: '-u http://x --cluster check a:1', says: 'http'},
  {line: '--cluster create a:1 --cluster-yes b:2', says: "Unexpected argument: 'b:2'"},
  {line: 'GET --cluster check a:1', says: "'GET'"},
]

test.each(refused)('refused: $line', ({line, says}) => {
  let message = ''
  try {
    parseDropInArgv(split(line), {})
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    message = (error as Error).message
  }
  expect(message).toContain(says)
})

test('a password behind "=" is not repeated', () => {
  expect(() => parseDropInArgv(['--pass=sesame', '--cluster', 'check', 'a:1'], {})).toThrow(/^((?!sesame).)*$/s)
})

test('values that look like flags are disguised, and are what they were afterwards', () => {
  expect(['\0--yes', 'plain', true, 7, ['\0-a', 'b']].map(undisguised)).toEqual([
    '--yes',
    'plain',
    true,
    7,
    ['-a', 'b'],
  ])
})

test('only a --cluster of its own, before "--", makes the form', () => {
  expect(isDropInForm(['check', '127.0.0.1:7000'])).toBe(false)
  expect(isDropInForm(['call', 'a:1', '--', 'CLUSTER', '--cluster'])).toBe(false)
  expect(isDropInForm(['reshard', '--cluster-yes'])).toBe(false)
})

test('oclif gets flags with their values attached, and words behind "--"', () => {
  const argv = split(`-a -x --cluster rebalance a:1 --cluster-weight aa=1 bb=2 --cluster-yes`)
  expect(toNativeArgv(parseDropInArgv(argv, {}))).toEqual([
    'drop-in:rebalance',
    '--password=\0-x',
    '--weight=aa=1',
    '--weight=bb=2',
    '--yes',
    '--',
    'a:1',
  ])
})
