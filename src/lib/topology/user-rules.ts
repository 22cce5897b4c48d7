/** What does a line of ACL LIST say, and when do two mean the same? Hashes of passwords leave here as digests only. Pure. */
import {createHash} from 'node:crypto'
import {digestSecret} from './secret-digest.ts'

/** A user as one node has it. */
export interface UserSketch {
  readonly name: string
  /** "on", "~app:*", "+@read", "(…)": without passwords; equal in this order for rules that mean the same. */
  readonly rules: readonly string[]
  /** Digests of this run, sorted: equal for equal passwords. */
  readonly passwords: readonly string[]
  /** Equal for equal rules and passwords. */
  readonly digest: string
}

/** "user NAME RULE…" */
export function sketchUser(line: string): UserSketch {
  const {name, rules} = parseUserLine(line)
  const passwords = rules.filter(isPassword).map(digestSecret).sort()
  const others = inOneOrder(rules.filter((rule) => !isPassword(rule) && rule !== DEFAULT_RULE))
  return {name, rules: others, passwords, digest: digestSecret(JSON.stringify([others, passwords]))}
}

/** A selector is one rule, "(+get ~x)". With the hashes of passwords: for who sets the user elsewhere. */
export function parseUserLine(line: string): {readonly name: string; readonly rules: readonly string[]} {
  const [, name = '', text = ''] = /^user (\S+) ?(.*)$/s.exec(line) ?? []
  return {name, rules: wordsOfRules(text)}
}

/** "on ~app:* (+get ~x)", as lines of users have it: three rules. */
export function wordsOfRules(text: string): string[] {
  return text.match(/\([^)]*\)|\S+/g) ?? []
}

/** The rule that adds a password: its hash, as servers keep it. */
export function passwordRule(password: string): string {
  return `#${createHash('sha256').update(password).digest('hex')}`
}

/** So it is where neither this nor its opposite is said; servers say it of users that were reset, and of no others. */
const DEFAULT_RULE = 'sanitize-payload'

function isPassword(rule: string): boolean {
  return rule.startsWith('#')
}

/**
 * Keys, channels and single commands stand in the order in which they were set, and the commands of Redis 7.0 in one that
 * differs from process to process. Where they stand beside categories matters: those apply in order.
 */
function inOneOrder(rules: readonly string[]): string[] {
  const runs: {kind: string; words: string[]}[] = []
  for (const word of rules) {
    const kind = kindOf(word)
    const last = runs.at(-1)
    if (kind !== '' && last?.kind === kind) last.words.push(word)
    else runs.push({kind, words: [word]})
  }
  return runs.flatMap(({words}) => words.sort())
}

/** '': what keeps its place. */
function kindOf(word: string): string {
  if (/^[+-][^@]/.test(word)) return 'command'
  if (/^[~%]/.test(word)) return 'key'
  return word.startsWith('&') ? '&' : ''
}
