/** How are ACL users shown? Rules as they are; of a password a letter, the same for equal ones of one user in one answer. */
import {groupNodes, inOrderOfNodes} from '../findings/group-nodes.ts'
import type {ClusterNode, NodeId} from '../topology/model.ts'
import type {UserSketch} from '../topology/user-rules.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {whichNodes} from './settings.ts'
import {wrap} from './wrap.ts'

/** One way in which some nodes have a user. */
export interface UserVersion {
  readonly rules: readonly string[]
  /** A letter for each password. */
  readonly passwords: readonly string[]
  readonly nodes: readonly ClusterNode[]
}

export interface ListedUser {
  readonly name: string
  /** That of most nodes first. */
  readonly versions: readonly UserVersion[]
  /** Nodes that told their users, and do not have this one. */
  readonly missing: readonly ClusterNode[]
}

/** By name. `users` of the nodes that told theirs. */
export function listUsers(
  nodes: readonly ClusterNode[],
  users: ReadonlyMap<NodeId, ReadonlyMap<string, UserSketch>>,
): ListedUser[] {
  const telling = nodes.filter(({id}) => users.has(id))
  const names = new Set(telling.flatMap(({id}) => [...(users.get(id)?.keys() ?? [])]))
  return [...names].sort().map((name) => {
    const sketchAt = ({id}: ClusterNode): UserSketch | undefined => users.get(id)?.get(name)
    const letters = new Map<string, string>()
    const groups = inOrderOfNodes(groupNodes(telling, (node) => sketchAt(node)?.digest))
    const versions = groups.map(({nodes: own}) => {
      const {rules = [], passwords = []} = sketchAt(own[0] as ClusterNode) ?? {}
      for (const digest of passwords) if (!letters.has(digest)) letters.set(digest, letterOf(letters.size))
      return {rules, passwords: passwords.map((digest) => letters.get(digest) as string).sort(), nodes: own}
    })
    return {name, versions, missing: telling.filter((node) => sketchAt(node) === undefined)}
  })
}

/** a … z, a1 … */
function letterOf(index: number): string {
  return `${String.fromCharCode(97 + (index % 26))}${index < 26 ? '' : Math.floor(index / 26)}`
}

const INDENT = 2

export function renderUsers(users: readonly ListedUser[], count: number, style: Style): string {
  const {chalk} = style
  const lines = users.flatMap(({name, versions, missing}) => [
    chalk.bold(clean(name)),
    ...versions.flatMap(({rules, passwords, nodes}) => {
      const where = nodes.length === count ? `on all ${plural(count, 'node')}` : `on ${whichNodes(nodes)}`
      return [
        `  ${wrap(clean(rules.join(' ')), style, INDENT, INDENT + 2)}`,
        `  ${chalk.dim(`${passwordsOf(passwords)}, ${where}`)}`,
      ]
    }),
    ...(missing.length > 0 ? [`  ${chalk.yellow(`not on ${whichNodes(missing)}`)}`] : []),
  ])
  return lines.join('\n')
}

function passwordsOf(letters: readonly string[]): string {
  if (letters.length === 0) return 'no password'
  return `${letters.length === 1 ? 'password' : 'passwords'} ${letters.join(', ')}`
}
