import {word} from '../../lib/cli/args.ts'
import {UserCommand, type UserReport, userFlags} from '../../lib/cli/user-command.ts'
import {requireReached} from '../../lib/engine/asked-nodes.ts'
import {deleteUser, readUsers} from '../../lib/engine/cluster-users.ts'
import {UsageError} from '../../lib/errors.ts'
import {plural} from '../../lib/render/amounts.ts'

export default class AclDelete extends UserCommand<typeof AclDelete> {
  static override summary = 'Delete an ACL user on all nodes.'
  static override description = [
    'The servers end the connections of that user. Then it is looked whether it is gone on each. The default user cannot be deleted (but "acl set default off"), and the one that this command logs in as is not.',
    'Exit codes: 0 no node has it any more; 2 the words make no sense; 3 a node that is meant does not answer, nothing was changed; 4 refused, nothing was changed; 5 some node still has it, the command can be run again; 130 stopped.',
  ].join('\n\n')
  static override usage = 'acl delete [SEED] USER'
  static override examples = ['<%= config.bin %> acl delete 127.0.0.1:7000 app --save']
  static override args = {
    words: word({description: 'any node of the cluster, then the user', multiple: true}),
  }
  static override flags = userFlags

  async run(): Promise<UserReport> {
    const {seed, rest} = this.takeSeed(this.args.words ?? [])
    const [name, ...more] = rest
    if (name === undefined || more.length > 0) {
      throw new UsageError('acl delete needs one user', {suggestions: ['rcluster acl delete 127.0.0.1:7000 app']})
    }
    if (name === 'default') {
      throw new UsageError('the default user cannot be deleted', {suggestions: ['rcluster acl set default off']})
    }
    const session = await this.openCluster(seed)
    await session.requireOneCluster()
    await this.lockCluster(session)
    const me = (await session.reachedPorts()[0]?.findForbidden([]))?.user
    if (me === name)
      throw new UsageError(`${name} is the user of this command`, {suggestions: ['Log in as another: --user']})
    const chosen = await this.chosenNodes(session)
    requireReached(chosen, ['Start it, or name the nodes that are meant with --node'])
    const told = await this.stoppable(readUsers(session, chosen))
    const nodes = told.flatMap(({node, users}) => ('value' in users && !users.value.has(name) ? [] : [node]))
    const report = {user: name, nodes: nodes.map(({id}) => id), notKept: []}
    if (nodes.length === 0) {
      this.print(`Nothing to do: none of ${plural(chosen.length, 'node')} has a user ${name}.`)
      return {outcome: 'nothing-to-do', ...report}
    }
    this.print(`User ${name} is on ${plural(nodes.length, 'node')}.`)
    if (this.flags['dry-run']) return {outcome: 'planned', ...report}
    await this.confirm(`Delete user ${name} on ${plural(nodes.length, 'node')}?`)
    this.requireAll(await deleteUser(session, nodes, name), 'has it no more')
    const notKept = await this.keep(session, chosen)
    this.print(`User ${name} is gone on ${plural(nodes.length, 'node')}.`)
    return {outcome: 'deleted', ...report, notKept}
  }
}
