/**
 * How do nodes get ACL users? Tried on one, then on the others, read again on all. Passwords go to the nodes as the hashes
 * that they keep, and come back as digests of this run.
 */
import {NodeError} from '../errors.ts'
import {groupNodes} from '../findings/group-nodes.ts'
import type {ClusterNode} from '../topology/model.ts'
import type {Told} from '../topology/node-details.ts'
import {labelNode, listNodes} from '../topology/queries.ts'
import {digestSecret} from '../topology/secret-digest.ts'
import {parseUserLine, sketchUser, type UserSketch} from '../topology/user-rules.ts'
import {versionOf} from '../topology/versions.ts'
import {failureOf} from './keep-setting.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

const AT_ONCE = 128

export interface NodeUsers {
  readonly node: ClusterNode
  /** By name. */
  readonly users: Told<ReadonlyMap<string, UserSketch>>
}

/** One result a node, in the order of `nodes`. Reads only. */
export function readUsers(session: ClusterSession, nodes: readonly ClusterNode[]): Promise<NodeUsers[]> {
  return mapBounded(nodes, AT_ONCE, async (node): Promise<NodeUsers> => {
    let lines: readonly string[] = []
    const unknown = await failureOf(async () => {
      lines = await session.node(node.id).listUsers()
    })
    if (unknown !== undefined) return {node, users: {unknown}}
    return {node, users: {value: new Map(lines.map(sketchUser).map((user) => [user.name, user]))}}
  })
}

/** What makes another node's user exactly what this node has; undefined when it has no such user. Holds hashes. */
export async function rulesAt(session: ClusterSession, node: ClusterNode, name: string): Promise<string[] | undefined> {
  const lines = (await session.node(node.id).listUsers()).map(parseUserLine)
  const user = lines.find((line) => line.name === name)
  return user && ['reset', ...user.rules]
}

export interface UserOutcome {
  readonly node: ClusterNode
  /** undefined: as on the others, and with the passwords that were set. */
  readonly failure: string | undefined
  /** It did not say no: whether it has the user as asked is not known. */
  readonly isUnsure: boolean
}

/**
 * ACL SETUSER of `rules` on each. The first node goes ahead: rules that it refuses reach no other.
 * @throws NodeError of the first node, when it says no; then nothing was changed.
 */
export async function setUser(
  session: ClusterSession,
  nodes: readonly ClusterNode[],
  name: string,
  rules: readonly string[],
): Promise<UserOutcome[]> {
  const told = await tellAll(nodes, (node) => session.node(node.id).setUser(name, rules))
  const after = await readUsers(session, nodes)
  const strays = strayUsers(after, name, rules)
  return told.map((outcome) => {
    const failure = outcome.failure ?? strays.get(outcome.node.id)
    return {...outcome, failure}
  })
}

/** @throws as `setUser` */
export async function deleteUser(
  session: ClusterSession,
  nodes: readonly ClusterNode[],
  name: string,
): Promise<UserOutcome[]> {
  const told = await tellAll(nodes, (node) => session.node(node.id).deleteUser(name))
  const after = await readUsers(session, nodes)
  return told.map((outcome, index) => {
    const users = after[index]?.users
    const left =
      users && 'value' in users && users.value.has(name) ? `${labelNode(outcome.node)} still has it` : undefined
    return {...outcome, failure: outcome.failure ?? left ?? whyUnread(after[index])}
  })
}

async function tellAll(
  [first, ...others]: readonly ClusterNode[],
  work: (node: ClusterNode) => Promise<void>,
): Promise<UserOutcome[]> {
  if (!first) return []
  const outcomes: UserOutcome[] = []
  try {
    await work(first)
    outcomes.push({node: first, failure: undefined, isUnsure: false})
  } catch (error) {
    if (!(error instanceof NodeError) || !isUnsure(error)) throw error
    const notTold = {failure: 'not told, for the first did not answer', isUnsure: false}
    return [{node: first, failure: error.message, isUnsure: true}, ...others.map((node) => ({node, ...notTold}))]
  }
  const rest = await mapBounded(others, AT_ONCE, async (node): Promise<UserOutcome> => {
    try {
      await work(node)
      return {node, failure: undefined, isUnsure: false}
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      return {node, failure: error.message, isUnsure: isUnsure(error)}
    }
  })
  return [...outcomes, ...rest]
}

function isUnsure({failure}: NodeError): boolean {
  return failure === 'timeout' || failure === 'closed'
}

/** By node ID why its user is not what it was to be. Versions write rules in other words: each is compared with its own. */
function strayUsers(after: readonly NodeUsers[], name: string, rules: readonly string[]): Map<string, string> {
  const strays = new Map<string, string>()
  const wanted = rules.filter((rule) => rule.startsWith('#')).map(digestSecret)
  const found = new Map<string, UserSketch>()
  for (const one of after) {
    const user = 'value' in one.users ? one.users.value.get(name) : undefined
    const why = whyUnread(one)
    if (why !== undefined) strays.set(one.node.id, why)
    else if (!user) strays.set(one.node.id, `${labelNode(one.node)} has no user ${name}`)
    else if (!wanted.every((digest) => user.passwords.includes(digest))) {
      strays.set(one.node.id, `${labelNode(one.node)} has not taken the password`)
    } else found.set(one.node.id, user)
  }
  const nodes = after.map(({node}) => node).filter(({id}) => found.has(id))
  for (const {nodes: alike} of groupNodes(nodes, versionOf)) {
    const groups = [...groupNodes(alike, ({id}) => found.get(id)?.digest)]
    // Digests differ from run to run: of groups of one size the one of the node that went ahead counts.
    groups.sort((a, b) => b.nodes.length - a.nodes.length || alike.indexOf(a.nodes[0]!) - alike.indexOf(b.nodes[0]!))
    const [most, ...others] = groups
    for (const node of others.flatMap((group) => group.nodes)) {
      strays.set(
        node.id,
        `${labelNode(node)} has other rules or passwords of ${name} than ${listNodes(most?.nodes ?? [], 1)}`,
      )
    }
  }
  return strays
}

function whyUnread(one: NodeUsers | undefined): string | undefined {
  return one && 'unknown' in one.users
    ? `what ${labelNode(one.node)} has could not be read: ${one.users.unknown}`
    : undefined
}

export interface UsersKept {
  readonly node: ClusterNode
  /** In which file they outlast a restart; undefined: in none. */
  readonly where: 'aclfile' | 'config' | undefined
  readonly failure: string | undefined
}

/** Makes the users of each node outlast its restart, where it has a file for that. */
export function saveUsers(session: ClusterSession, nodes: readonly ClusterNode[]): Promise<UsersKept[]> {
  return mapBounded(nodes, AT_ONCE, async (node) => {
    let where: UsersKept['where']
    const failure = await failureOf(async () => {
      where = await session.node(node.id).saveUsers()
    })
    return {node, where, failure}
  })
}
