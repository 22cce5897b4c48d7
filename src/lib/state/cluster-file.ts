/**
 * How is a cluster declared in a file? YAML, or JSON, which is YAML too. What makes no sense is a UsageError that names the
 * line and the path; nothing of the text is quoted but names, for the file may be anything.
 */
import {readFileSync} from 'node:fs'
import path from 'node:path'
import type {ErrorObject} from 'ajv'
import {UsageError} from '../errors.ts'
import {type Declaration, type DeclaredNode, requireSense} from '../plan/desired.ts'
import type {NodeAddress} from '../topology/model.ts'
import {isOfOneNode, isSecretSetting} from '../topology/settings.ts'
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
}

type WrittenValue = string | number | boolean | {readonly env: string} | {readonly file: string}

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
  const addressAt = (place: string, steps: readonly (string | number)[]): NodeAddress => {
    try {
      return parse(place)
    } catch (error) {
      throw wrong(file, lineOf(steps), `/${steps.join('/')}`, (error as Error).message, error)
    }
  }
  const declaration: Declaration = {
    shards: cluster.shards.map(({nodes, weight = 1}, shard) => ({
      weight,
      nodes: nodes.map((node, index): DeclaredNode => {
        const steps = ['shards', shard, 'nodes', index]
        if (typeof node === 'string') return {address: addressAt(node, steps)}
        return {address: addressAt(node.address, [...steps, 'address']), zone: node.zone}
      }),
    })),
    removeUndeclared: cluster.removeUndeclared ?? false,
    thresholdPercent: cluster.threshold ?? 2,
    config: Object.entries(cluster.config ?? {}).map(([name, value]) => {
      try {
        return {name, value: settingValue(name, value, path.dirname(file))}
      } catch (error) {
        throw wrong(file, lineOf(['config', name]), `/config/${name}`, (error as Error).message, error)
      }
    }),
  }
  for (const [shard, {nodes}] of declaration.shards.entries()) {
    const replicas = cluster.replicas ?? nodes.length - 1
    if (nodes.length !== replicas + 1) {
      const has = `has ${nodes.length === 1 ? '1 node' : `${nodes.length} nodes`}, and with ${replicas === 1 ? '1 replica' : `${replicas} replicas`} it has ${replicas + 1}`
      throw wrong(file, lineOf(['shards', shard]), `/shards/${shard}/nodes`, has)
    }
  }
  try {
    requireSense(declaration)
  } catch (error) {
    throw wrong(file, lineOf(['shards']), '/shards', (error as Error).message, error)
  }
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
  if ('env' in value) {
    const text = process.env[value.env]
    if (text === undefined) throw new Error(`is to be in ${value.env}, which is not set`)
    return text
  }
  try {
    return readFileSync(path.resolve(folder, value.file), 'utf8').split(/\r?\n/)[0] ?? ''
  } catch (error) {
    throw new Error(`is to be in ${value.file}, which cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** A value that fits neither of two forms is told by the form that it comes nearest to: the deepest place. */
function worst(errors: readonly ErrorObject[]): ErrorObject | undefined {
  const depth = ({instancePath, keyword}: ErrorObject): number =>
    instancePath.split('/').length * 2 + (keyword === 'anyOf' ? 0 : 1)
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
