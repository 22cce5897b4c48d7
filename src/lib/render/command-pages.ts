/** What do docs/README.md and docs/commands say? Made from what the commands say of themselves, one page a command. */
import {PLAIN_STYLE} from './colour.ts'
import {wrap} from './wrap.ts'

export interface FlagFacts {
  readonly name: string
  readonly char?: string
  /** What is taken as well: "--cluster-yes". */
  readonly also: readonly string[]
  readonly hasNo: boolean
  /** "NODE"; absent for flags without a value. */
  readonly value?: string
  readonly summary: string
  readonly preset?: string
  readonly options: readonly string[]
  readonly env?: string
  readonly isRepeatable: boolean
  readonly isRequired: boolean
  readonly needs: readonly string[]
  readonly excludes: readonly string[]
  /** "CONNECTION" */
  readonly group?: string
}

export interface CommandFacts {
  /** "local up" */
  readonly name: string
  /** Other names for the same. */
  readonly also: readonly string[]
  readonly summary: string
  readonly description: string
  readonly usage: readonly string[]
  readonly examples: readonly string[]
  readonly args: readonly {readonly name: string; readonly description: string}[]
  readonly flags: readonly FlagFacts[]
  /** What `rcluster acl` prints for it, where there is anything. */
  readonly rights?: string
  /** The anchor of its section in the README. */
  readonly section?: string
}

export interface Guide {
  /** "scale-out.md" */
  readonly file: string
  readonly title: string
  /** The commands that are to be typed there. */
  readonly commands: readonly string[]
}

const COLUMNS = 120
const MADE =
  'Made from the source of the commands (`npm run docs` writes it anew, and a test holds it equal): change it there.'

/** Path below docs, and content, of every page that is made. */
export function commandPages(commands: readonly CommandFacts[], guides: readonly Guide[]): ReadonlyMap<string, string> {
  const shared = sharedFlags(commands)
  return new Map([
    ['README.md', indexPage(commands, guides)],
    [`commands/${SHARED_PAGE}`, sharedPage(shared)],
    ...commands.map(
      (command) => [`commands/${pageOf(command)}`, commandPage(command, {commands, guides, shared})] as const,
    ),
  ])
}

const SHARED_PAGE = 'shared-flags.md'

function pageOf({name}: CommandFacts): string {
  return `${name.replaceAll(' ', '-')}.md`
}

function indexPage(commands: readonly CommandFacts[], guides: readonly Guide[]): string {
  return page(
    '# Documentation',
    paragraph('[README](../README.md) tells what rcluster is, how it is installed, and what to expect of it.'),
    '## Guides',
    guides.map(({title, file}) => `- [${title}](guides/${file})`).join('\n'),
    '## Commands',
    paragraph(MADE),
    commands
      .map((command) => item(`[${command.name}](commands/${pageOf(command)}): ${prose(command.summary)}`))
      .join('\n'),
    paragraph(`What several take: [shared flags](commands/${SHARED_PAGE}).`),
    '## Reference',
    [
      '- [The rules of `rcluster check`](rules.md)',
      '- [Declared clusters](declared-clusters.md): a file says what a cluster is to be',
      '- [rcluster as a library](library.md)',
      '- [Large clusters](scale.md): what limits them, and what was measured',
      '- [Exit codes](../README.md#exit-codes) and [JSON](../README.md#json)',
      '- [Decisions](decisions): why it is built as it is',
    ].join('\n'),
  )
}

interface Book {
  readonly commands: readonly CommandFacts[]
  readonly guides: readonly Guide[]
  readonly shared: ReadonlyMap<string, readonly FlagFacts[]>
}

function commandPage(command: CommandFacts, book: Book): string {
  const {name, also, summary, usage, args, examples, rights} = command
  const {paragraphs, codes, remarks} = splitDescription(command.description)
  return page(
    `# rcluster ${name}`,
    paragraph(prose(summary)),
    ...paragraphs.map((text) => paragraph(prose(text))),
    also.length > 0 && paragraph(`Also ${list(also)}.`),
    '## Usage',
    block('text', usage.map((line) => `rcluster ${line}`).join('\n')),
    args.length > 0 && '## Arguments',
    args.map(({name: word, description}) => item(`\`${word.toUpperCase()}\`: ${prose(description)}`)).join('\n'),
    ...flagSections(command.flags, book.shared),
    '## Examples',
    block('sh', examples.join('\n')),
    '## Exit codes',
    codes.map((code) => item(prose(code).replace(/^\d+/, '`$&`'))).join('\n'),
    paragraph(
      [...remarks.map(prose), 'What they mean everywhere: [exit codes](../../README.md#exit-codes).'].join(' '),
    ),
    command.flags.some((flag) => flag.name === 'json') && '## JSON',
    command.flags.some((flag) => flag.name === 'json') &&
      paragraph(
        `\`--json\` prints one document: \`version\` 1, \`command\` "${name}", \`ok\`, \`warnings\`, and \`result\` or \`error\`; see [JSON](../../README.md#json).`,
      ),
    rights !== undefined && '## ACL rights',
    rights !== undefined && paragraph(`What \`rcluster acl ${name}\` prints; see [acl](acl.md).`),
    rights !== undefined && block('text', rights),
    '## See also',
    seeAlso(command, book).join('\n'),
    paragraph(MADE),
  )
}

function seeAlso(command: CommandFacts, {commands, guides}: Book): string[] {
  const said = [command.description, ...command.flags.map(({summary}) => summary)].join(' ')
  // "see reshard, import and restore", "rcluster apply"; a name with a hyphen is no word of prose.
  const pointers = [...said.matchAll(/\b(?:[Ss]ee|rcluster) ([^.;:)]*)/g)].map(([, words = '']) => words).join(' ')
  const isNamed = ({name}: CommandFacts): boolean =>
    name !== command.name && new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(name.includes('-') ? said : pointers)
  return [
    ...(command.section === undefined
      ? []
      : [`- [${command.name}](../../README.md#${command.section}) in the README, with what it prints`]),
    ...guides
      .filter((guide) => guide.commands.includes(command.name))
      .map(({title, file}) => `- [${title}](../guides/${file}), a guide`),
    ...commands.filter(isNamed).map((one) => `- [${one.name}](${pageOf(one)})`),
    ...(command.flags.some(({name}) => name === 'rules') ? ['- [The rules](../rules.md)'] : []),
    '- [All commands and guides](../README.md)',
  ]
}

/** Of groups only: those that more than one command has, in the same words, by group. */
function sharedFlags(commands: readonly CommandFacts[]): ReadonlyMap<string, readonly FlagFacts[]> {
  const counts = new Map<string, {flag: FlagFacts; count: number}>()
  for (const flag of commands.flatMap(({flags}) => flags)) {
    const key = JSON.stringify(flag)
    counts.set(key, {flag, count: (counts.get(key)?.count ?? 0) + 1})
  }
  const shared = [...counts.values()].filter(({flag, count}) => flag.group !== undefined && count > 1)
  return byGroup(shared.map(({flag}) => flag))
}

function byGroup(flags: readonly FlagFacts[]): ReadonlyMap<string, readonly FlagFacts[]> {
  const groups = new Map<string, FlagFacts[]>()
  for (const flag of flags) groups.set(flag.group ?? '', [...(groups.get(flag.group ?? '') ?? []), flag])
  const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : 1))
  return new Map(sorted.map(([group, own]) => [group, own.sort((a, b) => (a.name < b.name ? -1 : 1))]))
}

function sharedPage(shared: Book['shared']): string {
  return page(
    '# Flags that commands share',
    paragraph(`The page of each command says which of these it takes. ${MADE}`),
    ...[...shared].flatMap(([group, flags]) => [`## ${titleOf(group)}`, flags.map(flagLine).join('\n')]),
    paragraph('[All commands and guides](../README.md)'),
  )
}

function flagSections(flags: readonly FlagFacts[], shared: Book['shared']): string[] {
  return [...byGroup(flags)].flatMap(([group, all]) => {
    const common = shared.get(group) ?? []
    const isCommon = (flag: FlagFacts): boolean => common.some((one) => isSame(one, flag))
    const own = all.filter((flag) => !isCommon(flag))
    const absent = common.filter((one) => !all.some((flag) => isSame(one, flag)))
    const but = absent.length > 0 ? `, but not ${list(absent.map(({name}) => `--${name}`))}` : ''
    const link = `${SHARED_PAGE}#${titleOf(group).toLowerCase().replaceAll(' ', '-')}`
    return [
      `## ${titleOf(group)}`,
      ...(own.length > 0 ? [own.map(flagLine).join('\n')] : []),
      ...(own.length < all.length ? [paragraph(`Those that [commands share](${link})${but}.`)] : []),
    ]
  })
}

function isSame(a: FlagFacts, b: FlagFacts): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** "CONNECTION" -> "Connection flags" */
function titleOf(group: string): string {
  return group === '' ? 'Flags' : `${group.charAt(0)}${group.slice(1).toLowerCase()} flags`
}

function flagLine(flag: FlagFacts): string {
  const {name, char, also, hasNo, value, summary, preset, options, env, isRepeatable, isRequired} = flag
  const spelt = [`--${name}${value === undefined ? '' : ` ${value}`}`, ...(char ? [`-${char}`] : [])]
  const more = [
    options.length > 0 && `One of ${list(options)}.`,
    preset !== undefined && `Default: \`${preset}\`.`,
    isRequired && 'Must be given.',
    isRepeatable && !summary.includes('may repeat') && 'May be given several times.',
    env !== undefined && `Also from \`${env}\`.`,
    hasNo && `The contrary: \`--no-${name}\`.`,
    flag.needs.length > 0 && !summary.includes('needs ') && `Needs ${list(flag.needs)}.`,
    flag.excludes.length > 0 && `Not together with ${list(flag.excludes)}.`,
    also.length > 0 && `Also ${list(also)}.`,
  ].filter((part) => part !== false)
  return item(`${list(spelt)}: ${[prose(summary), ...more].join(' ')}`)
}

/** The codes stand in the last paragraph, as "Exit codes: 0 done; 2 the words make no sense. A remark on them." */
function splitDescription(description: string): {paragraphs: string[]; codes: string[]; remarks: string[]} {
  const [, text = '', end = ''] = /^([\s\S]*?)(?:Exit codes?:? ([\s\S]*))?$/.exec(description.trim()) ?? []
  const paragraphs = text.split(/\n{2,}/).map((one) => one.trim())
  const [codes = '', ...remarks] = end.split(/(?<=[.])\s+(?=[A-Z])/)
  return {
    paragraphs: paragraphs.filter((one) => one !== ''),
    codes: codes === '' ? [] : codes.replace(/[.]$/, '').split(/; |, (?=\d+ )/),
    remarks,
  }
}

/** As Markdown: flags and command lines as code, and nothing else with a meaning. */
function prose(text: string): string {
  const escaped = text.replace(/[*<]/g, '\\$&')
  return escaped.replace(/(?<![\w-])--[a-z][a-z-]*[a-z]/g, '`$&`')
}

function list(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(', ')
}

function block(kind: string, text: string): string {
  return `\`\`\`${kind}\n${text}\n\`\`\``
}

function paragraph(text: string): string {
  return wrap(text, {...PLAIN_STYLE, isTerminal: true, columns: COLUMNS}, 0, 0)
}

function item(text: string): string {
  return `- ${wrap(text, {...PLAIN_STYLE, isTerminal: true, columns: COLUMNS}, 2, 2)}`
}

function page(...parts: readonly (string | false)[]): string {
  return `${parts.filter((part) => part !== false && part !== '').join('\n\n')}\n`
}
