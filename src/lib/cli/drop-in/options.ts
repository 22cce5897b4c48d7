/** Which options do redis-cli and valkey-cli take together with --cluster, and which flag of ours is each? */
import {UsageError} from '../../errors.ts'
import {parseDecimal, parseInteger} from '../numbers.ts'

/**
 * How an option's value becomes that of our flag. `token` is what was typed, for errors.
 * @throws UsageError naming the option and the value. undefined: as if the option were not there.
 */
type Read = (text: string, token: string) => string | undefined

export type DropInOption =
  /** `flag` undefined: it has no effect on --cluster, there as here. */
  | {readonly takes: 'nothing'; readonly flag?: string}
  | {readonly takes: 'value'; readonly flag?: string; readonly read?: Read}
  /** A value, and the words after it that look like more of the same. Repeated, separated by commas or by spaces. */
  | {readonly takes: 'list'; readonly flag: string; readonly isMore: RegExp; readonly read?: Read}
  /** A URL with an address, a login and TLS. */
  | {readonly takes: 'url'}

const wholeNumber =
  (min: number, max?: number): Read =>
  (text, token) =>
    String(parseInteger(text, token, min, max))

/** "name=1.5" */
const weight: Read = (text, token) => {
  const at = text.lastIndexOf('=')
  if (at < 1) throw new UsageError(`${token} must be NODE=WEIGHT, not "${text}"`)
  parseDecimal(text.slice(at + 1), `${token} ${text.slice(0, at)}`, 0)
  return text
}

const seconds: Read = (text, token) => {
  const ms = Math.round(parseDecimal(text, token, 0, 1_000_000) * 1000)
  return ms === 0 ? undefined : `${ms}ms`
}

const NO_EFFECT: readonly string[] = [
  ...['--no-auth-warning', '-4', '-6', '-2', '-3', '-c', '-e', '--raw', '--no-raw', '--csv', '--json'],
  ...['--quoted-json', '--quoted-input', '--mptcp', '--rdma'],
]
const NO_EFFECT_OF_VALUE: readonly string[] = [...['-n', '-r', '-i', '-d', '-D', '--show-pushes']]

export const DROP_IN_OPTIONS: ReadonlyMap<string, DropInOption> = new Map<string, DropInOption>([
  ...NO_EFFECT.map((token): [string, DropInOption] => [token, {takes: 'nothing'}]),
  ...NO_EFFECT_OF_VALUE.map((token): [string, DropInOption] => [token, {takes: 'value'}]),
  ['-h', {takes: 'value', flag: 'host'}],
  ['-p', {takes: 'value', flag: 'port', read: wholeNumber(1, 65_535)}],
  ['-s', {takes: 'value', flag: 'socket'}],
  ['-u', {takes: 'url'}],
  ['-a', {takes: 'value', flag: 'password'}],
  ['--pass', {takes: 'value', flag: 'password'}],
  ['--user', {takes: 'value', flag: 'user'}],
  ['--askpass', {takes: 'nothing', flag: 'askpass'}],
  ['-t', {takes: 'value', flag: 'connect-timeout', read: seconds}],
  ['-x', {takes: 'nothing', flag: 'stdin-last'}],
  ['-X', {takes: 'value', flag: 'stdin-tag'}],
  ['--verbose', {takes: 'nothing', flag: 'verbose'}],
  ['--tls', {takes: 'nothing', flag: 'tls'}],
  ['--sni', {takes: 'value', flag: 'sni'}],
  ['--cacert', {takes: 'value', flag: 'cacert'}],
  ['--cacertdir', {takes: 'value', flag: 'cacertdir'}],
  ['--cert', {takes: 'value', flag: 'cert'}],
  ['--key', {takes: 'value', flag: 'key'}],
  ['--insecure', {takes: 'nothing', flag: 'insecure'}],
  ['--tls-ciphers', {takes: 'value', flag: 'tls-ciphers'}],
  ['--tls-ciphersuites', {takes: 'value', flag: 'tls-ciphersuites'}],

  ['--cluster-yes', {takes: 'nothing', flag: 'yes'}],
  ['--cluster-replicas', {takes: 'value', flag: 'replicas', read: wholeNumber(0, 1000)}],
  ['--cluster-from', {takes: 'list', flag: 'from', isMore: /^(?:(?:[0-9a-f]{40}|all),*)+$/i}],
  ['--cluster-to', {takes: 'value', flag: 'to'}],
  ['--cluster-slots', {takes: 'value', flag: 'slots', read: wholeNumber(0, 16_384)}],
  ['--cluster-timeout', {takes: 'value', flag: 'migrate-timeout', read: wholeNumber(1, 2 ** 31 - 1)}],
  ['--cluster-pipeline', {takes: 'value', flag: 'pipeline', read: wholeNumber(1, 2 ** 31 - 1)}],
  [
    '--cluster-threshold',
    {takes: 'value', flag: 'threshold', read: (text, token) => String(parseDecimal(text, token, 0, 1_000_000))},
  ],
  ['--cluster-weight', {takes: 'list', flag: 'weight', isMore: /=/, read: weight}],
  ['--cluster-use-empty-masters', {takes: 'nothing', flag: 'use-empty'}],
  ['--cluster-use-empty-primaries', {takes: 'nothing', flag: 'use-empty'}],
  ['--cluster-simulate', {takes: 'nothing', flag: 'dry-run'}],
  ['--cluster-replace', {takes: 'nothing', flag: 'replace'}],
  ['--cluster-copy', {takes: 'nothing', flag: 'copy'}],
  ['--cluster-slave', {takes: 'nothing', flag: 'replica'}],
  ['--cluster-replica', {takes: 'nothing', flag: 'replica'}],
  ['--cluster-master-id', {takes: 'value', flag: 'primary-id'}],
  ['--cluster-primary-id', {takes: 'value', flag: 'primary-id'}],
  ['--cluster-search-multiple-owners', {takes: 'nothing', flag: 'search-multiple-owners'}],
  ['--cluster-fix-with-unreachable-masters', {takes: 'nothing', flag: 'fix-with-unreachable'}],
  ['--cluster-fix-with-unreachable-primaries', {takes: 'nothing', flag: 'fix-with-unreachable'}],
  ['--cluster-only-masters', {takes: 'nothing', flag: 'only-primaries'}],
  ['--cluster-only-primaries', {takes: 'nothing', flag: 'only-primaries'}],
  ['--cluster-only-replicas', {takes: 'nothing', flag: 'only-replicas'}],
  ['--cluster-from-user', {takes: 'value', flag: 'from-user'}],
  ['--cluster-from-pass', {takes: 'value', flag: 'from-pass'}],
  ['--cluster-from-askpass', {takes: 'nothing', flag: 'from-askpass'}],
  ['--cluster-use-atomic-slot-migration', {takes: 'nothing', flag: 'atomic'}],
  // Ours: neither CLI has a lock to take.
  ['--cluster-take-lock', {takes: 'nothing', flag: 'take-lock'}],
])
