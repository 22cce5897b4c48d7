/** Which settings of a server are secret, which does every node have for itself, and when do two values mean the same? Pure. */

/** Passwords and passphrases. */
export function isSecretSetting(name: string): boolean {
  return /pass$|password|passphrase|secret|^(master|primary)auth$/.test(name)
}

/** What is of one node alone: its addresses, files and processors. */
const OWN = [
  /^(tls-|cluster-)?port$/,
  /^(bind|bind-source-addr|unixsocket)$/,
  /^(cluster|replica|slave)-announce-/,
  /^(cluster-config-file|aclfile|dir|pidfile|logfile|syslog-ident|availability-zone)$/,
  /^(replicaof|slaveof)$/,
  /^tls-(client-)?(cert|key)-file$/,
  /_?cpulist$/,
]

export function isOfOneNode(name: string): boolean {
  return OWN.some((pattern) => pattern.test(name))
}

/** Servers tell these settings under two names, an old one and one of today. */
const OLD_NAMES: readonly (readonly [RegExp, string])[] = [
  [/slave/, 'replica'],
  [/^master(?=auth$|user$)/, 'primary'],
  [/ziplist/, 'listpack'],
  [/^lua-time-limit$/, 'busy-reply-threshold'],
]

/** Without what is told again under an old name. */
export function withoutOldNames(names: ReadonlySet<string>): string[] {
  const isOld = (name: string): boolean =>
    OLD_NAMES.some(([pattern, today]) => pattern.test(name) && names.has(name.replace(pattern, today)))
  return [...names].filter((name) => !isOld(name)).sort()
}

const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
}

/** Servers give sizes in bytes, words in small letters, and flags in an order of theirs. */
export function meansTheSame(asked: string, told: string): boolean {
  return asked === told || normal(asked) === normal(told) || inOrder(asked) === inOrder(told)
}

function normal(value: string): string {
  const text = value.trim().toLowerCase()
  const [, count = '', unit = ''] = /^(\d+)([kmg]?b?)$/.exec(text) ?? []
  return count === '' ? text : String(Number(count) * (UNITS[unit] ?? 1))
}

/** "KEA" and "AKE" of notify-keyspace-events. Words of small letters and numbers are never flags. */
function inOrder(value: string): string {
  return /^[A-Za-z$]*[A-Z$][A-Za-z$]*$/.test(value) ? [...value].sort().join('') : value
}
