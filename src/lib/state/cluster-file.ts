/**
 * How is a cluster declared in a file? YAML, or JSON, which is YAML too. What makes no sense is a UsageError that names the
 * line and the path; nothing of the text is quoted but names, for the file may be anything.
 */
import {readFileSync} from 'node:fs'
import path from 'node:path'
import type {ErrorObject} from 'ajv'
import {UsageError} from '../errors.ts'
import {
  type Declaration,
  type DeclaredLibrary,
  type DeclaredNode,
  type DeclaredUser,
  requireSense,
} from '../plan/desired.ts'
import {libraryName} from '../topology/library-name.ts'
import type {NodeAddress} from '../topology/model.ts'
import {isOfOneNode, isSecretSetting} from '../topology/settings.ts'
import {passwordRule, wordsOfRules} from '../topology/user-rules.ts'
import {validatorOf} from './format-file.ts'

export const CLUSTER_FORMAT = 'rcluster-cluster'
const MOST_BYTES = 4 * 2 ** 20

interface WrittenCluster {
  readonly shards: readonly {
    readonly nodes: readonly (string | {readonly address: string; readonly zone?: string})[]
    readonly weight?: number
  }[]
  readonly replicas?: number
  readonly removeUndeclared?: boolean
  readonly threshold?: number
  readonly config?: Readonly<Record<string, WrittenValue>>
  readonly users?: Readonly<Record<string, WrittenUser>>
  readonly functions?: readonly string[]
}

/** Where a secret is. */
type Place = {readonly env: string} | {readonly file: string}
type WrittenValue = string | number | boolean | Place
type WrittenUser = 'absent' | {readonly rules: string; readonly passwords?: readonly Place[]}

/**
 * undefined for a file that declares no cluster, as a plan: by what is in it, or by its name where that tells nothing.
 * @throws UsageError when it cannot be read.
 */
export function readClusterText(file: string): string | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`, {cause: error})
  }
  const isDeclared = new RegExp(`^\\s*\\{?\\s*["']?format["']?\\s*:\\s*["']?${CLUSTER_FORMAT}\\b`, 'm').test(text)
  if (!isDeclared && !/\.ya?ml$/i.test(file)) return undefined
  if (text.length > MOST_BYTES)
    throw new UsageError(`${file}: ${text.length} characters are no declaration of a cluster`)
  return text
}

/** @param parse an address. @throws UsageError that names file, line and path. */
export async function parseClusterFile(
  text: string,
  file: string,
  parse: (text: string) => NodeAddress,
): Promise<Declaration> {
  const {LineCounter, parseDocument} = (await import('yaml')).default
  const lines = new LineCounter()
  const document = parseDocument(text, {lineCounter: lines, prettyErrors: false})
  const [fault] = [...document.errors, ...document.warnings]
  if (fault)
    throw wrong(
      file,
      lines.linePos(fault.pos[0]).line,
      '',
      `is no YAML: ${fault.code.toLowerCase().replaceAll('_', ' ')}`,
    )
  const lineOf = (steps: readonly (string | number)[]): number => {
    for (let length = steps.length; length >= 0; length--) {
      const node = document.getIn(steps.slice(0, length), true) as {range?: readonly number[]} | undefined
      if (node?.range) return lines.linePos(node.range[0] ?? 0).line
    }
    return 1
  }
  let written: unknown
  try {
    written = document.toJS({maxAliasCount: 100})
  } catch (error) {
    throw wrong(file, 1, '', 'goes round in circles', error)
  }
  const validate = await validator()
  if (!validate(written)) {
    const error = worst(validate.errors ?? [])
    throw wrong(file, lineOf(pathOf(error?.instancePath ?? '')), error?.instancePath ?? '', describe(error))
  }
  const cluster = written as WrittenCluster
  /** What `read` makes of what stands there; its Error is told with the place. */
  const at = <T>(steps: readonly (string | number)[], read: () => T): T => {
    try {
      return read()
    } catch (error) {
      throw wrong(file, lineOf(steps), `/${steps.join('/')}`, (error as Error).message, error)
    }
  }
  const folder = path.dirname(file)
  const declaration: Declaration = {
    shards: cluster.shards.map(({nodes, weight = 1}, shard) => ({
      weight,
      nodes: nodes.map((node, index): DeclaredNode => {
        const steps = ['shards', shard, 'nodes', index]
        if (typeof node === 'string') return {address: at(steps, () => parse(node))}
        return {address: at([...steps, 'address'], () => parse(node.address)), zone: node.zone}
      }),
    })),
    removeUndeclared: cluster.removeUndeclared ?? false,
    thresholdPercent: cluster.threshold ?? 2,
    config: Object.entries(cluster.config ?? {}).map(([name, value]) =>
      at(['config', name], () => ({name, value: settingValue(name, value, folder)})),
    ),
    users: Object.entries(cluster.users ?? {}).map(([name, user]) =>
      at(['users', name], () => declaredUser(name, user, folder)),
    ),
    functions: (cluster.functions ?? []).map((place, index) =>
      at(['functions', index], () => declaredLibrary(place, folder)),
    ),
  }
  for (const [shard, {nodes}] of declaration.shards.entries()) {
    const replicas = cluster.replicas ?? nodes.length - 1
    if (nodes.length !== replicas + 1) {
      const has = `has ${nodes.length === 1 ? '1 node' : `${nodes.length} nodes`}, and with ${replicas === 1 ? '1 replica' : `${replicas} replicas`} it has ${replicas + 1}`
      throw wrong(file, lineOf(['shards', shard]), `/shards/${shard}/nodes`, has)
    }
  }
  at(['shards'], () => requireSense(declaration))
  at(['functions'], () => requireOnce(declaration.functions))
  return declaration
}

/** @throws an Error that says what is wrong with it; the value is not in it. */
function settingValue(name: string, value: WrittenValue, folder: string): string {
  if (isOfOneNode(name)) throw new Error('is of one node alone, and a declaration is for all')
  if (typeof value !== 'object') {
    if (isSecretSetting(name) && value !== '') {
      throw new Error('is a secret: say where it is, as {env: VARIABLE} or {file: PATH}')
    }
    return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
  }
  return secretAt(value, folder)
}

/** @throws an Error that says where it should have been. */
function secretAt(place: Place, folder: string): string {
  if ('env' in place) {
    const text = process.env[place.env]
    if (text === undefined) throw new Error(`is to be in ${place.env}, which is not set`)
    return text
  }
  return fileAt(place.file, folder).toString('utf8').split(/\r?\n/)[0] ?? ''
}

/** @throws an Error that names it. */
function fileAt(place: string, folder: string): Buffer {
  try {
    return readFileSync(path.resolve(folder, place))
  } catch (error) {
    throw new Error(`is to be in ${place}, which cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** @throws an Error that says what is wrong with it; no password is in it. */
function declaredUser(name: string, user: WrittenUser, folder: string): DeclaredUser {
  if (user === 'absent') {
    if (name === 'default') throw new Error('cannot be absent; {rules: "off"} keeps it out')
    return {name, rules: undefined, passwordRules: []}
  }
  const rules = wordsOfRules(user.rules)
  if (rules.some((rule) => /^[<>#!]/.test(rule))) {
    throw new Error(
      'has a password among its rules: say where it is, as passwords: [{env: VARIABLE}] or [{file: PATH}]',
    )
  }
  const passwords = (user.passwords ?? []).map((place) => secretAt(place, folder))
  if (passwords.includes('')) throw new Error('has an empty password: rules with nopass let in whoever comes')
  if (passwords.length > 0 && rules.some((rule) => rule.toLowerCase() === 'nopass')) {
    throw new Error('has passwords, and nopass, with which none counts')
  }
  return {name, rules, passwordRules: [...new Set(passwords.map(passwordRule))]}
}

/** @throws an Error that says what is wrong with it. */
function declaredLibrary(place: string, folder: string): DeclaredLibrary {
  const code = fileAt(place, folder)
  const name = libraryName(code)
  if (name === '') throw new Error(`is no function library: the first line of ${place} has to be as "#!lua name=NAME"`)
  return {name, code}
}

/** @throws an Error that names the library of which there are two. */
function requireOnce(libraries: readonly DeclaredLibrary[]): void {
  const names = libraries.map(({name}) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Error(`has the library ${twice} twice`)
}

/** A value that fits neither of two forms is told by the form that it comes nearest to: the deepest place. */
function worst(errors: readonly ErrorObject[]): ErrorObject | undefined {
  const vague = ['anyOf', 'type', 'const']
  const depth = ({instancePath, keyword}: ErrorObject): number => {
    const rank = vague.indexOf(keyword)
    return instancePath.split('/').length * 4 + (rank < 0 ? vague.length : rank)
  }
  const isTold = ({keyword, schemaPath}: ErrorObject): boolean => !(keyword === 'type' && /anyOf\/0/.test(schemaPath))
  return [...errors].filter(isTold).sort((a, b) => depth(b) - depth(a))[0] ?? errors[0]
}

function describe(error: ErrorObject | undefined): string {
  const {allowedValue, additionalProperty} = (error?.params ?? {}) as {
    allowedValue?: unknown
    additionalProperty?: string
  }
  if (additionalProperty !== undefined) return `knows no "${additionalProperty.slice(0, 40)}"`
  if (allowedValue !== undefined) return `must be ${String(allowedValue)}`
  return error?.message ?? 'is not as it has to be'
}

function pathOf(pointer: string): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((word) => (/^\d+$/.test(word) ? Number(word) : word))
}

function wrong(file: string, line: number, place: string, problem: string, cause?: unknown): UsageError {
  return new UsageError(`${file}, line ${line}: ${place || 'the whole'} ${problem}`, {
    details: {file, line, place},
    suggestions: ['The form of the file: docs/declared-clusters.md, schemas/cluster-v1.json'],
    cause,
  })
}

const validator = validatorOf(
  async () => (await import('../../../schemas/cluster-v1.json', {with: {type: 'json'}})).default,
  {allErrors: true},
)
