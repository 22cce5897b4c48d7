/** How are ACL rights told: a rule a line for people and shells, and below it what may be added for what. */
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {wrap} from './wrap.ts'

export interface RightsDocument {
  /** "Redis 7.0 to 8.3, Valkey 7.2 to 8.1" */
  readonly servers: string
  /** Whose rule it is, where it is not our user's. */
  readonly of?: string
  readonly rule: string
}

export interface OptionalRight {
  readonly words: readonly string[]
  readonly isOnlyFor: string
  readonly servers?: string
}

/** The rules can be pasted as they stand: all else begins with #. */
export function renderRules(
  title: string,
  rules: readonly RightsDocument[],
  optional: readonly OptionalRight[],
  style: Style,
): string {
  const lines = [`# ${clean(title)}`]
  for (const {servers, of, rule} of rules) {
    const about = [of, rules.length > 1 || of ? servers : ''].filter((part) => part !== '' && part !== undefined)
    if (about.length > 0) lines.push(`# ${about.join(', ')}:`)
    lines.push(rule)
  }
  if (optional.length > 0) lines.push('', '# It works without these. They are for:')
  for (const {words, isOnlyFor, servers} of optional) {
    const where = servers === undefined ? '' : ` (${servers})`
    lines.push(...commented('# ', words.join(' '), style), ...commented('#     ', `${isOnlyFor}${where}`, style))
  }
  return lines.join('\n')
}

function commented(prefix: string, text: string, style: Style): string[] {
  return wrap(text, style, prefix.length, prefix.length)
    .split('\n')
    .map((line) => prefix + line.trimStart())
}
