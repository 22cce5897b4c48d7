/**
 * May our user do what a plan asks, at each of its nodes? Reads only. ACL DRYRUN tells it (Redis 7, Valkey 7.2); where our
 * user may not ask that, commands are tried in a form that no server carries out.
 */
import {NodeError} from '../errors.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import type {CommandTrial, NodePort} from './cluster-port.ts'
import {endsOf, type PlannedPair} from './planned-pairs.ts'
import {ruleLine} from './rights.ts'
import type {ClusterSession} from './session.ts'
import {joinVerdicts, NOTHING_TO_SAY, type Obstacle, type Verdict} from './verdict.ts'
import {mapBounded} from './waiting.ts'

/** Refused as out of range, as no number, or for its negative life, by every server that would let the user try. */
const SETSLOT: CommandTrial = {
  right: '+cluster|setslot',
  words: ['CLUSTER', 'SETSLOT', '0', 'STABLE'],
  harmless: ['CLUSTER', 'SETSLOT', '-1', 'STABLE'],
}
const COUNT: CommandTrial = trial('+cluster|countkeysinslot', 'CLUSTER COUNTKEYSINSLOT 0')
const LIST: CommandTrial = trial('+cluster|getkeysinslot', 'CLUSTER GETKEYSINSLOT 0 1')
const WEIGH: CommandTrial = trial('+memory|usage', 'MEMORY USAGE rcluster')
const MIGRATE: CommandTrial = {
  right: '+migrate',
  words: ['MIGRATE', '127.0.0.1', '1', 'rcluster', '0', '1000'],
  harmless: ['MIGRATE', '127.0.0.1', '1', 'rcluster', 'none', 'none'],
}
const RESTORE: CommandTrial = {
  right: '+restore-asking',
  words: ['RESTORE-ASKING', 'rcluster', '0', ''],
  harmless: ['RESTORE-ASKING', 'rcluster', '-1', ''],
}
const SELECT: CommandTrial = trial('+select', 'SELECT 0')
/** Of whoever brings keys to the target of a MIGRATE. */
const SENT: readonly CommandTrial[] = [RESTORE, SELECT]
const PUSH = [
  {right: '+cluster|migrateslots', words: 'CLUSTER MIGRATESLOTS SLOTSRANGE 0 0 NODE 0'.split(' ')},
  trial('+cluster|getslotmigrations', 'CLUSTER GETSLOTMIGRATIONS'),
  {right: '+cluster|cancelslotmigrations', words: ['CLUSTER', 'CANCELSLOTMIGRATIONS']},
]
const PULL = [
  {
    right: '+cluster|migration',
    words: ['CLUSTER', 'MIGRATION', 'IMPORT', '0', '0'],
    harmless: ['CLUSTER', 'MIGRATION', 'STATUS', 'ALL'],
  },
]
/** Of the servers' own user at the target of a push; SET stands for all that write. */
const PUSHED: readonly CommandTrial[] = [
  {right: '+cluster|syncslots', words: ['CLUSTER', 'SYNCSLOTS', 'ESTABLISH']},
  {right: '+select', words: ['SELECT', '0']},
  {right: '+@write', words: ['SET', 'rcluster', '']},
]
/** What only some moves come to need. */
const SELDOM: readonly CommandTrial[] = [
  {right: '+cluster|bumpepoch', words: ['CLUSTER', 'BUMPEPOCH']},
  {right: '+dump', words: ['DUMP', 'rcluster']},
  {right: '+pttl', words: ['PTTL', 'rcluster']},
  {right: '+asking', words: ['ASKING']},
  {right: '+del', words: ['DEL', 'rcluster']},
]

/** A command that changes nothing is tried as it is. */
function trial(right: string, line: string): CommandTrial {
  const words = line.split(' ')
  return {right, words, harmless: words}
}

export interface RightsOptions {
  /** Where atomic slot migration fails, there is no other way. */
  readonly isAtomicOnly?: boolean | undefined
}

export async function judgeRights(
  session: ClusterSession,
  pairs: readonly PlannedPair[],
  options: RightsOptions = {},
): Promise<Verdict> {
  const atomic = pairs.filter(({isAtomic}) => isAtomic)
  return joinVerdicts([
    ...(await mapBounded(endsOf(pairs), 128, (id) => judgeNode(session, pairs, id, options))),
    ...(await mapBounded(atomic, 128, (pair) => judgeServers(session, pair, options))),
  ])
}

/** Valkey's source logs in at the target as its primaryuser does, and what it sends is carried out in that user's name. */
async function judgeServers(
  session: ClusterSession,
  {from, to}: PlannedPair,
  {isAtomicOnly = false}: RightsOptions,
): Promise<Verdict> {
  const [source, target] = [session.node(from), session.node(to)]
  if ((await source.readAtomicFamily()) !== 'push') return NOTHING_TO_SAY
  const user = await readServersUser(source)
  if (!user) return NOTHING_TO_SAY
  const {forbidden} = await target.findForbidden(PUSHED, user)
  if (forbidden.length === 0) return NOTHING_TO_SAY
  if (isAtomicOnly) return {obstacles: [obstacleOf(target, user, forbidden)], warnings: []}
  return {obstacles: [], warnings: warningOf(target, user, forbidden, 'slots that come there go key by key then')}
}

/** By its older name, which all know; undefined where our user may not ask. */
async function readServersUser(node: NodePort): Promise<string | undefined> {
  try {
    return await node.readConfig('masteruser')
  } catch (error) {
    if (error instanceof NodeError && error.failure === 'permission') return undefined
    throw error
  }
}

async function judgeNode(
  session: ClusterSession,
  pairs: readonly PlannedPair[],
  id: NodeId,
  {isAtomicOnly = false}: RightsOptions,
): Promise<Verdict> {
  const node = session.node(id)
  const has = (end: 'from' | 'to', isAtomic: boolean): boolean =>
    pairs.some((pair) => pair[end] === id && pair.isAtomic === isAtomic)
  const [isSource, isTarget] = [has('from', false), has('to', false)]
  const byMigrate = [
    ...(isSource || isTarget ? [SETSLOT, COUNT] : []),
    ...(isSource ? [LIST, WEIGH, MIGRATE] : []),
    ...(isTarget ? SENT : []),
  ]
  const isPusher = has('from', true)
  const isPuller = has('to', true)
  const family = isPusher || isPuller ? await node.readAtomicFamily() : undefined
  const byServers = family === 'push' && isPusher ? PUSH : family === 'pull' && isPuller ? PULL : []
  const seldom = byMigrate.length > 0 ? SELDOM : []
  const answer = await node.findForbidden([...byMigrate, ...byServers, ...seldom])
  const among = (trials: readonly CommandTrial[]): string[] =>
    trials.map(({right}) => right).filter((right) => answer.forbidden.includes(right))
  // Those who send keys to this node may log in there as somebody else.
  const sender = isTarget && node.peerLogin ? (node.peerLogin.username ?? 'default') : answer.user
  const isSentByUs = sender === answer.user
  const ofSender = isSentByUs ? [] : (await node.findForbidden(SENT, sender)).forbidden
  const ours = isSentByUs ? byMigrate : byMigrate.filter((one) => !SENT.includes(one))
  const missing = [...among(ours), ...(isAtomicOnly ? among(byServers) : [])]
  const warnings = [
    ...warningOf(node, answer.user, isAtomicOnly ? [] : among(byServers), 'these slots go key by key then'),
    ...warningOf(node, answer.user, among(seldom), 'some moves come to need that'),
  ]
  const obstacles = [
    ...(missing.length > 0 ? [obstacleOf(node, answer.user, missing)] : []),
    ...(ofSender.length > 0 ? [obstacleOf(node, sender, ofSender)] : []),
  ]
  return {obstacles, warnings}
}

function obstacleOf(node: NodePort, user: string, missing: readonly string[]): Obstacle {
  const address = formatAddress(node.address)
  return {
    about: 'rights',
    message: `user ${user} may not ${commandsOf(missing)} on ${address}`,
    suggestions: [
      `On every node: ${ruleLine(user, missing).replace(/ on >PASSWORD resetchannels/, '')}`,
      'Or all that is needed: rcluster acl reshard',
    ],
    details: {node: address, user, missing},
  }
}

function warningOf(node: NodePort, user: string, missing: readonly string[], so: string): string[] {
  if (missing.length === 0) return []
  return [`user ${user} may not ${commandsOf(missing)} on ${formatAddress(node.address)}: ${so} (rcluster acl reshard)`]
}

/** "CLUSTER SETSLOT, MIGRATE" */
function commandsOf(rights: readonly string[]): string {
  return rights.map((right) => right.slice(1).replace('|', ' ').toUpperCase()).join(', ')
}
