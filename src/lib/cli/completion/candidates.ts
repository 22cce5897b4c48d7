/** What may the word at the cursor become? From the table of commands and what is remembered; asks nobody. Pure. */
import type {SeenCluster, SeenNode} from '../../state/seen-nodes.ts'

/** What oclif.manifest.json says of a flag, as far as it matters here. */
export interface FlagEntry {
  readonly name: string
  readonly char?: string
  readonly charAliases?: readonly string[]
  readonly aliases?: readonly string[]
  readonly type: 'boolean' | 'option'
  readonly summary?: string
  readonly helpValue?: string | readonly string[]
  readonly options?: readonly string[]
  readonly allowNo?: boolean
  readonly multiple?: boolean
  readonly delimiter?: string
  readonly hidden?: boolean
}

export interface CommandEntry {
  readonly id: string
  readonly summary?: string
  readonly hidden?: boolean
  readonly hiddenAliases?: readonly string[]
  readonly flags: Readonly<Record<string, FlagEntry>>
  readonly args: Readonly<Record<string, unknown>>
}

/** By ID: "local:up". */
export type CommandTable = Readonly<Record<string, CommandEntry>>

export interface Memory {
  readonly contexts: readonly string[]
  /** The context that holds where none is said. */
  readonly defaultContext: string | undefined
  /** The latest first. */
  readonly clusters: readonly SeenCluster[]
}

interface Candidate {
  readonly value: string
  readonly about?: string | undefined
}

export interface Completion {
  readonly candidates: readonly Candidate[]
  /** What the shell itself completes, beside them. */
  readonly paths?: 'files' | 'folders'
  /** More is to follow in the same word. */
  readonly isOpen?: boolean
}

type Kind = 'node' | 'command' | 'context' | 'file' | 'folder' | 'shell' | 'nothing'

export const SHELLS = ['bash', 'zsh', 'fish'] as const

const NOTHING: Completion = {candidates: []}

/** What the words after a command are, where they are not all nodes. The last one stands for those after it. */
export const POSITIONS: Readonly<Record<string, readonly Kind[]>> = {
  acl: ['command'],
  addresses: ['node', 'nothing'],
  apply: ['file', 'node', 'nothing'],
  backup: ['node', 'folder', 'nothing'],
  call: ['node', 'nothing'],
  completion: ['shell', 'nothing'],
  'context:add': ['nothing'],
  'context:remove': ['context', 'nothing'],
  'context:show': ['context', 'nothing'],
  'context:use': ['context', 'nothing'],
  failover: ['node', 'nothing'],
  replicate: ['node', 'node', 'nothing'],
  reshard: ['node', 'node', 'nothing'],
  restore: ['file', 'node'],
  'set-timeout': ['node', 'nothing'],
  wait: ['node', 'nothing'],
}

/** What has been typed before the cursor. */
interface Typed {
  /** The ID; undefined: still to come. */
  readonly command: string | undefined
  /** "local", of which the second word is to come. */
  readonly topic: string | undefined
  /** The words after the command that are no flags. */
  readonly words: readonly string[]
  readonly values: ReadonlyMap<string, readonly string[]>
  /** Its value is what is at the cursor. */
  readonly awaiting: FlagEntry | undefined
  readonly isPastDashes: boolean
}

/** `words`: what stands between the program's name and the cursor; `current`: the word at the cursor, as far as it goes. */
export function complete(table: CommandTable, memory: Memory, words: readonly string[], current: string): Completion {
  // The drop-in form has another language.
  if (words.includes('--cluster')) return NOTHING
  const typed = readTyped(table, words)
  if (typed.isPastDashes) return NOTHING
  if (typed.awaiting) return valuesOf(typed.awaiting, table, memory, typed, current)
  const [, name, value] = /^--([^=]+)=(.*)$/s.exec(current) ?? []
  if (name !== undefined && value !== undefined) {
    const flag = flagsOf(table, typed.command).get(`--${name}`)
    if (flag?.type !== 'option') return NOTHING
    return prefixed(`--${name}=`, valuesOf(flag, table, memory, typed, value))
  }
  if (current.startsWith('-')) return only(flagCandidates(table, typed), current)
  if (typed.command === undefined) return only(commandCandidates(table, typed.topic), current)
  const kinds = POSITIONS[typed.command] ?? defaultKinds(table[typed.command])
  const kind = kinds[Math.min(typed.words.length, kinds.length - 1)] ?? 'nothing'
  return candidatesOf(kind, table, memory, typed, current)
}

function readTyped(table: CommandTable, words: readonly string[]): Typed {
  const free: string[] = []
  const values = new Map<string, string[]>()
  let awaiting: FlagEntry | undefined
  const flags = flagsOf(table, undefined)
  const note = (flag: FlagEntry, value: string): void => {
    values.set(flag.name, [...(values.get(flag.name) ?? []), value])
  }
  for (const word of words) {
    if (awaiting) {
      note(awaiting, word)
      awaiting = undefined
    } else if (word === '--') {
      return {...place(table, free), values, awaiting: undefined, isPastDashes: true}
    } else if (word.startsWith('-') && word !== '-') {
      const [, name = word, value] = /^(--[^=]+)=(.*)$/s.exec(word) ?? []
      const flag = flags.get(name)
      if (flag?.type === 'option' && value === undefined) awaiting = flag
      else if (flag) note(flag, value ?? '')
    } else {
      free.push(word)
    }
  }
  const placed = place(table, free)
  // Commands may have flags of one name with different values.
  const own = awaiting && flagsOf(table, placed.command).get(`--${awaiting.name}`)
  return {...placed, values, awaiting: own ?? awaiting, isPastDashes: false}
}

function place(table: CommandTable, free: readonly string[]): Pick<Typed, 'command' | 'topic' | 'words'> {
  const [first, ...rest] = free[0] === 'help' ? free.slice(1) : free
  if (first === undefined) return {command: undefined, topic: undefined, words: []}
  const [second, ...others] = rest
  const pair = second === undefined ? undefined : `${first}:${second}`
  if (pair !== undefined && table[pair]) return {command: pair, topic: undefined, words: others}
  const id = table[first] ? first : Object.values(table).find(({hiddenAliases}) => hiddenAliases?.includes(first))?.id
  if (id !== undefined) return {command: id, topic: undefined, words: rest}
  return {command: undefined, topic: first, words: []}
}

/** By what may be typed: "--seed", "-a"; of all commands while none is known. */
function flagsOf(table: CommandTable, command: string | undefined): Map<string, FlagEntry> {
  const entries = command === undefined ? visible(table) : [table[command]].filter((entry) => entry !== undefined)
  const flags = new Map<string, FlagEntry>()
  for (const {flags: own} of entries) {
    for (const flag of Object.values(own)) {
      const chars = [flag.char, ...(flag.charAliases ?? [])].filter((char) => char !== undefined)
      for (const long of [flag.name, ...(flag.aliases ?? [])]) flags.set(`--${long}`, flag)
      for (const char of chars) flags.set(`-${char}`, flag)
    }
  }
  return flags
}

function visible(table: CommandTable): CommandEntry[] {
  return Object.values(table).filter(({hidden}) => !hidden)
}

function commandCandidates(table: CommandTable, topic: string | undefined): Candidate[] {
  const names = visible(table).map(({id, summary}) => ({words: id.split(':'), summary}))
  if (topic !== undefined) {
    return names
      .filter(({words}) => words.length === 2 && words[0] === topic)
      .map(({words, summary}) => ({value: words[1] as string, about: summary}))
  }
  const topics = new Set(names.filter(({words}) => words.length === 2).map(({words}) => words[0] as string))
  return [
    ...names
      .filter(({words}) => words.length === 1)
      .map(({words, summary}) => ({value: words[0] as string, about: summary})),
    ...[...topics].map((value) => ({value, about: `${value} …`})),
    {value: 'help', about: 'Show the help of a command.'},
  ].sort((a, b) => (a.value < b.value ? -1 : 1))
}

function flagCandidates(table: CommandTable, {command, values}: Typed): Candidate[] {
  const help = {value: '--help', about: 'Show help.'}
  const entry = command === undefined ? undefined : table[command]
  if (!entry) return [help, {value: '--version', about: 'Show the version.'}]
  const own = Object.values(entry.flags)
    .filter(({name, multiple, hidden}) => !hidden && (multiple || !values.has(name)))
    .flatMap(({name, summary, allowNo}) => [
      {value: `--${name}`, about: summary},
      ...(allowNo ? [{value: `--no-${name}`, about: `The contrary of --${name}.`}] : []),
    ])
  return [...own, help].sort((a, b) => (a.value < b.value ? -1 : 1))
}

function valuesOf(flag: FlagEntry, table: CommandTable, memory: Memory, typed: Typed, current: string): Completion {
  if (flag.options)
    return only(
      flag.options.map((value) => ({value})),
      current,
    )
  // "a,b": the last one is being typed.
  const comma = flag.delimiter === ',' ? current.lastIndexOf(',') + 1 : 0
  const [before, last] = [current.slice(0, comma), current.slice(comma)]
  const {candidates, ...rest} = candidatesOf(kindOfFlag(flag), table, memory, typed, last)
  const isForAll = flag.name === 'from' && typed.command === 'reshard'
  const words = flag.helpValue === 'SLOTS|NODE|all' || isForAll ? [{value: 'all'}] : []
  const all = [...candidates, ...only(words, last).candidates]
  if (!String(flag.helpValue).startsWith('NODE=')) return prefixed(before, {candidates: all, ...rest})
  return prefixed(before, {candidates: all.map(({value, about}) => ({value: `${value}=`, about})), isOpen: true})
}

function kindOfFlag({helpValue, name}: FlagEntry): Kind {
  switch (typeof helpValue === 'string' ? helpValue : '') {
    case 'NODE':
    case 'NODE=W':
    case 'NODE=ZONE':
    case 'SLOTS|NODE|all':
      // The source of an import is another server than the cluster.
      return 'node'
    case 'CONTEXT':
      return 'context'
    case 'FILE':
      return 'file'
    case 'DIR':
      return 'folder'
    default:
      return name === 'nodes' ? 'node' : 'nothing'
  }
}

/** Words of commands that talk to a cluster name its nodes. */
function defaultKinds(command: CommandEntry | undefined): readonly Kind[] {
  const isAboutNodes = command?.flags['seed'] !== undefined && Object.keys(command.args).length > 0
  return isAboutNodes ? ['node'] : ['nothing']
}

function candidatesOf(kind: Kind, table: CommandTable, memory: Memory, typed: Typed, current: string): Completion {
  switch (kind) {
    case 'node':
      return {candidates: nodeCandidates(memory, typed, current)}
    case 'context':
      return only(
        [...memory.contexts, ...(typed.command?.startsWith('context:') ? [] : ['none'])].map(toValue),
        current,
      )
    case 'command':
      return only(
        visible(table)
          .map(({id}) => ({value: id}))
          .filter(({value}) => !value.includes(':')),
        current,
      )
    case 'shell':
      return only(SHELLS.map(toValue), current)
    case 'file':
      return {candidates: [], paths: 'files'}
    case 'folder':
      return {candidates: [], paths: 'folders'}
    case 'nothing':
      return NOTHING
  }
}

function toValue(value: string): Candidate {
  return {value}
}

/** Addresses; hostnames and IDs once a beginning is typed, and then only what fits. */
function nodeCandidates(memory: Memory, typed: Typed, current: string): Candidate[] {
  const cluster = meantCluster(memory, typed)
  if (!cluster) return []
  const before = new Set(typed.words)
  const nodes = cluster.nodes.filter(({address, id}) => !before.has(address) && !before.has(id))
  const by = (name: (node: SeenNode) => string | undefined): Candidate[] =>
    nodes.flatMap((node) => {
      const value = name(node)
      if (!value?.startsWith(current)) return []
      return [{value, about: value === node.address ? describe(node) : `${node.address}, ${describe(node)}`}]
    })
  const addresses = by(({address}) => address)
  if (current === '') return addresses
  return [
    ...addresses,
    ...by(({hostname, address}) => hostname && `${hostname}${portOf(address)}`),
    ...by(({id}) => id),
  ]
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':'))
}

function describe({role, slots}: SeenNode): string {
  return role === 'primary' ? `primary of ${slots} slots` : role
}

/** One of which a node is named on the line; else the context's; else the one that was seen last. */
function meantCluster({clusters, defaultContext}: Memory, {words, values}: Typed): SeenCluster | undefined {
  const named = new Set([...words, ...(values.get('seed') ?? [])])
  const byName = clusters.find(({nodes}) => nodes.some(({address, id}) => named.has(address) || named.has(id)))
  if (byName) return byName
  const said = values.get('context')?.at(-1)
  if (said !== undefined && said !== 'none') return clusters.find(({context}) => context === said)
  const byDefault = said === undefined && clusters.find(({context}) => context === defaultContext)
  return (defaultContext !== undefined && byDefault) || clusters[0]
}

function only(candidates: readonly Candidate[], current: string): Completion {
  return {candidates: candidates.filter(({value}) => value.startsWith(current))}
}

function prefixed(prefix: string, {candidates, ...rest}: Completion): Completion {
  return {candidates: candidates.map(({value, about}) => ({value: `${prefix}${value}`, about})), ...rest}
}
