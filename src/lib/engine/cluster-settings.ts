/**
 * How do nodes get settings? Read on all, set on all, read again on all; when one refuses, the others get back what they
 * had. Values of secret settings stay in here: `before` and `after` of a change are for who changes, not for who shows.
 */
import {UsageError} from '../errors.ts'
import type {ClusterNode} from '../topology/model.ts'
import type {Told} from '../topology/node-details.ts'
import {labelNode} from '../topology/queries.ts'
import {digestSecret} from '../topology/secret-digest.ts'
import {isSecretSetting, meansTheSame} from '../topology/settings.ts'
import {failureOf} from './keep-setting.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

const AT_ONCE = 128

export interface NodeSettings {
  readonly node: ClusterNode
  /** By name; of secret ones digests of this run. */
  readonly settings: Told<ReadonlyMap<string, string>>
}

/** What nodes tell of settings whose names fit, "max*". One result a node; reads only. */
export function readSettings(
  session: ClusterSession,
  nodes: readonly ClusterNode[],
  pattern: string,
): Promise<NodeSettings[]> {
  return mapBounded(nodes, AT_ONCE, async (node): Promise<NodeSettings> => {
    let value: ReadonlyMap<string, string> = new Map()
    const unknown = await failureOf(async () => {
      value = await session.node(node.id).readSettings(pattern)
    })
    return {node, settings: unknown === undefined ? {value} : {unknown}}
  })
}

/** One setting of one node. */
export interface SettingChange {
  readonly node: ClusterNode
  readonly name: string
  /** What it is to be. */
  readonly value: string
  /** What it is; in the server's words. */
  readonly before: string
  readonly isSecret: boolean
}

/** As `value`, or in the server's words something that means the same. */
export function isSetAlready({before, value}: SettingChange): boolean {
  return meansTheSame(value, before)
}

export interface WantedSetting {
  readonly node: ClusterNode
  readonly name: string
  readonly value: string
}

/**
 * What the nodes have now, of settings that are to be others. Reads only.
 * @throws UsageError when a server has no such setting, NodeError when one does not tell.
 */
export function planSettings(session: ClusterSession, wanted: readonly WantedSetting[]): Promise<SettingChange[]> {
  return mapBounded(wanted, AT_ONCE, async ({node, name, value}) => {
    const before = await session.node(node.id).readConfig(name)
    if (before === undefined) {
      throw new UsageError(`${labelNode(node)} has no setting ${name}`)
    }
    return {node, name, value, before, isSecret: isSecretSetting(name)}
  })
}

export interface SettingSet {
  readonly change: SettingChange
  /** As the node tells it now; of a secret one a digest of this run. undefined: it did not tell, or was not asked. */
  readonly after: string | undefined
  /** Why it is not what it was to be; undefined when it is. */
  readonly failure: string | undefined
}

export type SettingsOutcome =
  | {
      readonly kind: 'set'
      readonly settings: readonly SettingSet[]
    }
  | {
      /** A node refused; all others have what they had. */
      readonly kind: 'put-back'
      readonly failures: readonly string[]
    }
  | {
      /** A node refused, and these could not be told to go back, or it is not known what they have. */
      readonly kind: 'mixed'
      readonly failures: readonly string[]
      readonly stuck: readonly SettingChange[]
    }

/** Of one node in the given order, of several at once. `changes` that are made already are let be. */
export async function setSettings(
  session: ClusterSession,
  changes: readonly SettingChange[],
): Promise<SettingsOutcome> {
  const todo = changes.filter((change) => !isSetAlready(change))
  const tried: SettingChange[] = []
  const failures: string[] = []
  await mapBounded(byNode(todo), AT_ONCE, async (own) => {
    for (const change of own) {
      if (failures.length > 0) return
      // Noted before it is done: an answer that does not come says nothing of what was done.
      tried.push(change)
      const failure = await write(session, change, change.value)
      if (failure === undefined) continue
      failures.push(failure)
      return
    }
  })
  const settings = failures.length > 0 ? [] : await verify(session, changes)
  for (const {failure} of settings) if (failure !== undefined) failures.push(failure)
  if (failures.length === 0) return {kind: 'set', settings}
  const stuck = await putBack(session, tried)
  return stuck.length === 0 ? {kind: 'put-back', failures} : {kind: 'mixed', failures, stuck}
}

/** The last one first. Also those that may have been refused: a node that keeps what it has says so. */
async function putBack(session: ClusterSession, tried: readonly SettingChange[]): Promise<SettingChange[]> {
  const stuck = await mapBounded(byNode(tried), AT_ONCE, async (own) => {
    const left: SettingChange[] = []
    for (const change of [...own].reverse()) {
      const before = shown(change, change.before)
      if ((await readNow(session, change)) === before) continue
      await write(session, change, change.before)
      if ((await readNow(session, change)) !== before) left.push(change)
    }
    return left
  })
  return stuck.flat()
}

function byNode(changes: readonly SettingChange[]): SettingChange[][] {
  return [...new Set(changes.map(({node}) => node.id))].map((id) => changes.filter(({node}) => node.id === id))
}

/**
 * Servers write some values in words of their own: what all of them make of it counts as taken. One that says something
 * else than most has not taken it.
 */
async function verify(session: ClusterSession, changes: readonly SettingChange[]): Promise<SettingSet[]> {
  const told = await mapBounded(changes, AT_ONCE, async (change) => ({change, after: await readNow(session, change)}))
  return told.map(({change, after}) => {
    const {node, name, value} = change
    if (after === undefined) return {change, after, failure: `${labelNode(node)} does not tell its ${name} any more`}
    const isAsAsked = change.isSecret ? after === shown(change, value) : meansTheSame(value, after)
    const isLikeOthers = told
      .filter((other) => other.change.name === name && other.change.value === value)
      .every((other) => other.after === after)
    if (isAsAsked || (isLikeOthers && !change.isSecret)) return {change, after, failure: undefined}
    const says = change.isSecret ? 'another one' : `"${after}"`
    return {change, after, failure: `${labelNode(node)} took ${name}, and says ${says}`}
  })
}

async function readNow(session: ClusterSession, change: SettingChange): Promise<string | undefined> {
  let now: string | undefined
  await failureOf(async () => {
    now = await session.node(change.node.id).readConfig(change.name)
  })
  return now === undefined ? undefined : shown(change, now)
}

function shown({isSecret}: SettingChange, value: string): string {
  return isSecret && value !== '' ? digestSecret(value) : value
}

/** Servers before 7 repeat the value that they refuse. */
async function write(session: ClusterSession, change: SettingChange, value: string): Promise<string | undefined> {
  const failure = await failureOf(async () => session.node(change.node.id).writeConfig(change.name, value))
  return change.isSecret && value !== '' ? failure?.replaceAll(value, '…') : failure
}

/** Writes the settings of the nodes to their files. @returns by node why that failed; those where it did not are left out. */
export async function keepOnAll(
  session: ClusterSession,
  nodes: readonly ClusterNode[],
): Promise<{node: ClusterNode; reason: string}[]> {
  const kept = await mapBounded(nodes, AT_ONCE, async (node) => {
    return {node, reason: await failureOf(async () => session.node(node.id).rewriteConfig())}
  })
  return kept.flatMap(({node, reason}) => (reason === undefined ? [] : [{node, reason}]))
}
