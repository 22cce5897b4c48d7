/** Which users of a declaration do nodes have otherwise, and how do they get them? Safe to run again. */
import {InterruptedError} from '../errors.ts'
import type {DeclaredUser, DesiredStage, UsersPlan} from '../plan/desired.ts'
import {compare} from '../plan/move-plan.ts'
import {type ClusterNode, formatAddress} from '../topology/model.ts'
import {findNode} from '../topology/queries.ts'
import {isSameUser, type ServerCommand} from '../topology/user-meaning.ts'
import {parseUserLine} from '../topology/user-rules.ts'
import type {NodePort} from './cluster-port.ts'
import {deleteUser, saveUsers, setUser} from './cluster-users.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

/** All rules are said anew; "reset" alone leaves the channels to acl-pubsub-default. */
const FROM_NOTHING = ['reset', 'resetchannels']

/** Of nodes, members or not yet; empty when all have them so. Reads only. @throws NodeError when one does not tell. */
export async function usersStage(
  ports: readonly NodePort[],
  users: readonly DeclaredUser[],
): Promise<readonly DesiredStage[]> {
  if (users.length === 0) return []
  const commandsByVersion = new Map<string, Promise<readonly ServerCommand[]>>()
  const astray = await mapBounded(ports, 128, async (port) => {
    const [{serverInfo}, lines] = await Promise.all([port.readVitals(), port.listUsers()])
    const version = `${serverInfo.flavour} ${serverInfo.version}`
    const commands = commandsByVersion.get(version) ?? port.listCommands()
    commandsByVersion.set(version, commands)
    const known = await commands
    const rules = new Map(lines.map(parseUserLine).map((user) => [user.name, user.rules]))
    const others = users.filter((user) => !isAsDeclared(user, rules.get(user.name), known))
    return {address: formatAddress(port.address), others}
  })
  const changes = users.flatMap((user) => {
    const nodes = astray.flatMap(({address, others}) => (others.includes(user) ? [address] : [])).sort(compare)
    const {name, rules, passwordRules} = user
    return nodes.length === 0 ? [] : [{user: name, rules, passwords: passwordRules.length, nodes}]
  })
  return changes.length === 0 ? [] : [{stage: 'users', plan: {version: 1, kind: 'users', changes}}]
}

function isAsDeclared(
  {rules, passwordRules}: DeclaredUser,
  found: readonly string[] | undefined,
  commands: readonly ServerCommand[],
): boolean {
  if (!rules || !found) return !rules && !found
  return isSameUser([...rules, ...passwordRules], found, commands)
}

/**
 * One user after the other, read again on each node, then written to the nodes' files.
 * @returns nodes where that failed: they have the users until their restart.
 * @throws NodeError of the first node, when it says no to a user: that one was changed nowhere. InterruptedError when others did.
 */
export async function applyUsers(
  session: ClusterSession,
  {changes}: UsersPlan,
  users: readonly DeclaredUser[],
): Promise<readonly {readonly node: ClusterNode; readonly reason: string}[]> {
  const touched = new Map<string, ClusterNode>()
  for (const {user, nodes: addresses} of changes) {
    const declared = users.find(({name}) => name === user)
    if (!declared) throw new Error('a plan of other users than are declared')
    const nodes = addresses.flatMap((address) => findNode(session.topology, address) ?? [])
    for (const node of nodes) touched.set(node.id, node)
    const {rules, passwordRules} = declared
    const outcomes = rules
      ? await setUser(session, nodes, user, [...FROM_NOTHING, ...rules, ...passwordRules])
      : await deleteUser(session, nodes, user)
    const failed = outcomes.flatMap(({failure}) => failure ?? [])
    if (failed.length === 0) continue
    throw new InterruptedError(
      `user ${user} is not as declared on ${failed.length} of ${nodes.length} nodes: ${failed.slice(0, 3).join('; ')}`,
      {suggestions: ['Run the command again when these answer: it is safe to repeat']},
    )
  }
  const kept = await saveUsers(session, [...touched.values()])
  return kept.flatMap(({node, failure}) => (failure === undefined ? [] : [{node, reason: failure}]))
}
