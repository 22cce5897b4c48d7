import {AdminCommand} from '../../lib/cli/admin-command.ts'
import {word} from '../../lib/cli/args.ts'
import {seedFromWords} from '../../lib/cli/cluster-command.ts'
import {chooseNodes} from '../../lib/engine/asked-nodes.ts'
import {readUsers} from '../../lib/engine/cluster-users.ts'
import {aclDrift} from '../../lib/findings/drift-rules.ts'
import {renderFinding} from '../../lib/render/findings.ts'
import {type ListedUser, listUsers, renderUsers} from '../../lib/render/users.ts'
import {formatAddress, type NodeId} from '../../lib/topology/model.ts'
import {NO_DETAILS, type NodeDetails, toldValue} from '../../lib/topology/node-details.ts'

interface UserDocument {
  readonly name: string
  /** The same rules and passwords on all nodes that told; nodes of different versions are not compared by their words. */
  readonly isAlike: boolean
  readonly versions: readonly {
    readonly rules: readonly string[]
    /** A letter for each, the same for equal ones of this user in this answer. */
    readonly passwords: readonly string[]
    readonly nodes: readonly NodeId[]
  }[]
  readonly missingOn: readonly NodeId[]
}

interface AclListReport {
  readonly users: readonly UserDocument[]
  /** Nodes that did not tell, and why. */
  readonly notTold: readonly {readonly address: string; readonly reason: string}[]
}

export default class AclList extends AdminCommand<typeof AclList> {
  static override summary = 'Show the ACL users of all nodes, and who differs where.'
  static override description = [
    'Servers keep users for themselves: nothing brings them from node to node. Of a password a letter is shown, the same letter for the same password of a user in one answer; neither it nor its hash. Nodes of different versions write rules in other words, and are compared among their own.',
    'Exit codes: 0 all nodes are alike; 1 a user differs, or a node could not be asked; 2 the words make no sense; 4 no seed answers.',
  ].join('\n\n')
  static override usage = 'acl list [SEED]'
  static override examples = ['<%= config.bin %> acl list 127.0.0.1:7000', '<%= config.bin %> acl list --json']
  static override args = {seed: word({description: 'any node of the cluster', multiple: true})}

  async run(): Promise<AclListReport> {
    const session = await this.openCluster(seedFromWords(this.args.seed))
    const {topology} = session
    const nodes = chooseNodes(session)
    const told = await this.stoppable(readUsers(session, nodes))
    const notTold = told.flatMap(({node, users}) =>
      'unknown' in users ? [{address: formatAddress(node.address), reason: users.unknown}] : [],
    )
    this.requireTold(told.length, notTold)
    const byNode = new Map(told.flatMap(({node, users}) => ('value' in users ? [[node.id, users.value] as const] : [])))
    const users = listUsers(nodes, byNode)
    const details = told.map(({node, users: own}): [NodeId, NodeDetails] => {
      const value = new Map([...(toldValue(own) ?? [])].map(([name, {digest}]) => [name, digest]))
      const unknown = {unknown: 'it was not asked'}
      return [node.id, {settings: unknown, libraries: unknown, users: 'unknown' in own ? own : {value}}]
    })
    const findings = aclDrift(topology, {...NO_DETAILS, nodes: new Map(details)})
    this.print(renderUsers(users, byNode.size, this.style))
    for (const finding of findings) {
      const suggestions = finding.suggestions.filter((text) => !text.includes('rcluster acl list'))
      this.print(renderFinding({...finding, suggestions, evidence: []}, topology, this.style))
    }
    for (const {reason} of notTold.slice(0, 4)) this.warnOperator(`Not told: ${reason}`)
    if (findings.length > 0 || notTold.length > 0) process.exitCode = 1
    const strays = new Set(findings.flatMap((finding) => ('user' in finding ? [finding.user] : [])))
    return {users: users.map((user) => documentOf(user, !strays.has(user.name))), notTold}
  }
}

function documentOf({name, versions, missing}: ListedUser, isAlike: boolean): UserDocument {
  return {
    name,
    isAlike,
    versions: versions.map(({rules, passwords, nodes}) => ({rules, passwords, nodes: nodes.map(({id}) => id)})),
    missingOn: missing.map(({id}) => id),
  }
}
