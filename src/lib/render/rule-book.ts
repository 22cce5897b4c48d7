/** How is the book of rules shown: as a list on the screen, as the text of one rule, and as docs/rules.md? */
import {RULE_BOOK, RULE_IDS, type Rule, type RuleId} from '../findings/rule-book.ts'
import type {Style} from './colour.ts'
import {renderTable} from './table.ts'
import {wrap} from './wrap.ts'

export interface RuleDocument {
  readonly id: RuleId
  /** The usual one first. */
  readonly severities: Rule['severity']
  readonly title: string
  readonly why: string
  readonly mend: string
}

export function ruleDocument(id: RuleId): RuleDocument {
  const {severity, title, why, mend} = RULE_BOOK[id]
  return {id, severities: severity, title, why, mend}
}

/** All of them a line each; of a few that were named all that the book says. */
export function renderRuleBook(ids: readonly RuleId[], style: Style): string {
  if (ids.length === RULE_IDS.length) {
    const rows = ids.map((id) => [id, RULE_BOOK[id].severity.join(', '), RULE_BOOK[id].title])
    return `${renderTable([{title: 'Rule'}, {title: 'Severity'}, {title: 'Tells that'}], rows, style)}\n\nWhy it matters, and what mends it: rcluster check --rules --rule ID`
  }
  return ids
    .map((id) => {
      const {severity, title, why, mend} = RULE_BOOK[id]
      const lines = [
        `${style.chalk.bold(id)} (${severity.join(', ')})`,
        wrap(title, style, 2, 2),
        wrap(why, style, 2, 2),
        `${style.isUnicode ? '→' : '->'} ${mend}`,
      ]
      return lines.map((line, index) => (index === 0 ? line : `  ${line}`)).join('\n')
    })
    .join('\n\n')
}

const SOURCES = {
  info: 'INFO',
  settings: 'CONFIG GET',
  libraries: 'FUNCTION LIST',
  users: 'ACL LIST',
  keys: '--deep, which asks every primary for the keys of every slot',
} as const

/** docs/rules.md as a whole. */
export function rulesPage(): string {
  const sections = (['error', 'warning', 'note'] as const).map((severity) => {
    const ids = RULE_IDS.filter((id) => RULE_BOOK[id].severity[0] === severity)
    return [`## ${HEADINGS[severity]}`, ...ids.map(ruleSection)].join('\n\n')
  })
  return `${[INTRODUCTION, ...sections].join('\n\n')}\n`
}

const HEADINGS = {error: 'Errors', warning: 'Warnings', note: 'Notes'} as const

const INTRODUCTION = [
  '# The rules of `rcluster check`',
  'Made from src/lib/findings/rule-book.ts; a test holds this page equal to it (`npm run docs` writes it anew).',
  'An error makes the exit code 1. A warning does so with `--fail-on warning`. A note never does: what it tells of may well be meant so. `--rule ID` judges by these rules only, `--ignore ID` by all but these. A rule that could not be judged is told as such, with the reason. In what mends it SEED and NODE stand for addresses; what `check` prints has the real ones.',
].join('\n\n')

function ruleSection(id: RuleId): string {
  const {severity, title, why, mend, needs} = RULE_BOOK[id]
  const also = severity.length > 1 ? ` (${severity.join(', ')})` : ''
  const lines = [`### ${id}`, `**${title}.**${also} ${why}`, `What mends it: ${withCode(mend)}.`]
  if (needs) lines.push(`Judged by ${SOURCES[needs]}.`)
  return lines.join('\n\n')
}

/** Command lines as code: they begin with "rcluster" and end where a sentence goes on. */
function withCode(text: string): string {
  return text.replace(/rcluster [^;,]*/g, (line) => `\`${line.trimEnd()}\``)
}
