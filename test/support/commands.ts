/** What do the commands say of themselves, and would their own parser take these words? Hidden ones are left out. */
import {readdirSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import type {Command} from '@oclif/core/command'
import {parse as parseArgv} from '@oclif/core/parser'
import {captureOutput} from '@oclif/test'
import Acl from '../../src/commands/acl.ts'
import {isDropInForm} from '../../src/lib/cli/drop-in/form.ts'
import {parseDropInArgv} from '../../src/lib/cli/drop-in/parse-argv.ts'
import {RIGHTS} from '../../src/lib/engine/rights.ts'
import type {CommandFacts, FlagFacts} from '../../src/lib/render/command-pages.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const headings = headingsOf(readFileSync(path.join(ROOT, 'README.md'), 'utf8'))

export function headingsOf(markdown: string): string[] {
  return [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title)
}

/** As GitHub makes it. */
export function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

export interface NamedCommand {
  /** "local up" */
  readonly name: string
  readonly command: typeof Command
}

/** By name. */
export async function readCommands(): Promise<NamedCommand[]> {
  const folder = path.join(ROOT, 'src/commands')
  const files = readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter((file) => file.endsWith('.ts'))
  const loaded = await Promise.all(
    files.sort().map(async (file) => {
      const {default: command} = (await import(path.join(folder, file))) as {default: typeof Command}
      return {name: file.replace(/\.ts$/, '').split(path.sep).join(' '), command}
    }),
  )
  return loaded.filter(({command}) => !command.hidden)
}

/** Of words after "rcluster", in either form. @throws when the real parser of the command would, or there is none. */
export async function parseCommand(words: readonly string[], commands: readonly NamedCommand[]): Promise<void> {
  if (isDropInForm(words)) {
    parseDropInArgv(words, {})
    return
  }
  const depth = commands.some(({name}) => name === words.slice(0, 2).join(' ')) ? 2 : 1
  const found = commands.find(({name}) => name === words.slice(0, depth).join(' '))
  if (!found) throw new Error(`${words[0]} is no command`)
  const {args, baseFlags, flags, strict} = found.command
  await parseArgv(words.slice(depth), {args, flags: {...baseFlags, ...flags}, strict})
}

/** One after the other: what is printed is captured. */
export async function readFacts(commands: readonly NamedCommand[]): Promise<CommandFacts[]> {
  const facts: CommandFacts[] = []
  for (const command of commands) facts.push(await factsOf(command))
  return facts
}

async function factsOf({name, command}: NamedCommand): Promise<CommandFacts> {
  const shown = (text: string): string =>
    text.replaceAll('<%= config.bin %>', 'rcluster').replaceAll('<%= command.id %>', name)
  const usage = command.usage ?? name
  const flags = Object.entries({...command.baseFlags, ...command.flags}).filter(([, flag]) => !flag.hidden)
  const rights = await rightsOf(name)
  const section = headings.find((title) => title.split(', ').includes(name))
  return {
    name,
    also: [...command.aliases, ...command.hiddenAliases],
    summary: command.summary ?? '',
    description: command.description ?? '',
    usage: [usage].flat().map(shown),
    examples: (command.examples ?? []).map((one) =>
      shown(typeof one === 'string' ? one : `# ${one.description}\n${one.command}`),
    ),
    args: Object.entries(command.args)
      .filter(([, arg]) => !arg.hidden)
      .map(([word, arg]) => ({name: word, description: arg.description ?? ''})),
    flags: await Promise.all(flags.map(([flagName, flag]) => flagFacts(flagName, flag))),
    ...(rights === undefined ? {} : {rights}),
    ...(section === undefined ? {} : {section: anchorOf(section)}),
  }
}

type Flag = (typeof Command)['flags'][string]

async function flagFacts(name: string, flag: Flag): Promise<FlagFacts> {
  const preset = flag.type === 'option' ? await presetOf(flag) : undefined
  return {
    name,
    ...(flag.char ? {char: flag.char} : {}),
    also: (flag.aliases ?? []).map((alias) => `--${alias}`),
    hasNo: flag.type === 'boolean' && flag.allowNo,
    ...(flag.type === 'option' ? {value: [flag.helpValue ?? 'VALUE'].flat().join(' ')} : {}),
    summary: flag.summary ?? '',
    ...(preset === undefined ? {} : {preset: String(preset)}),
    options: flag.type === 'option' ? (flag.options ?? []) : [],
    ...(flag.env ? {env: flag.env} : {}),
    isRepeatable: flag.type === 'option' && (flag.multiple ?? false),
    isRequired: flag.required ?? false,
    needs: (flag.dependsOn ?? []).map((other) => `--${other}`),
    excludes: (flag.exclusive ?? []).flatMap((other) => (typeof other === 'string' ? `--${other}` : [])),
    ...(flag.helpGroup ? {group: flag.helpGroup} : {}),
  }
}

/** As --help tells it. */
async function presetOf(flag: Extract<Flag, {type: 'option'}>): Promise<unknown> {
  const context = {options: flag, flags: {}}
  const told = typeof flag.defaultHelp === 'function' ? await flag.defaultHelp(context) : flag.defaultHelp
  return told ?? (typeof flag.default === 'function' ? await flag.default(context) : flag.default)
}

/** A topic's rule is its commands' rule. */
async function rightsOf(name: string): Promise<string | undefined> {
  const known = [name, name.split(' ')[0] ?? ''].find((one) => RIGHTS[one] !== undefined)
  if (known === undefined) return undefined
  const {stdout, error} = await captureOutput(() => Acl.run([known, '--no-color'], {root: ROOT}), {print: false})
  if (error) throw error
  return stdout.trimEnd()
}
