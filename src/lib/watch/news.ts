/** What happened between two rounds, beyond findings: who joined, left, changed its role, and who is at work. Pure. */
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelId, labelNode} from '../topology/queries.ts'
import type {Round, Worker} from './round.ts'

export interface News {
  readonly atMs: number
  readonly kind: 'joined' | 'left' | 'took-over' | 'role' | 'moved' | 'lost' | 'back' | 'work-began' | 'work-ended'
  readonly node: NodeId | undefined
  /** One line; holds what servers say. */
  readonly text: string
}

export function newsBetween(before: Round, round: Round): News[] {
  const tell = (kind: News['kind'], text: string, node?: NodeId): News => ({atMs: round.atMs, kind, node, text})
  const news: News[] = []
  if (round.lost !== undefined) {
    if (before.lost === undefined) news.push(tell('lost', `no node answers any more: ${round.lost}`))
    return news
  }
  if (before.lost !== undefined) news.push(tell('back', 'nodes answer again'))
  for (const node of round.topology.nodes) {
    const old = before.topology.nodesById.get(node.id)
    if (!old) news.push(tell('joined', `${labelNode(node)} joined as a ${node.role}`, node.id))
    else news.push(...changesOf(old, node, round.topology).map(([kind, text]) => tell(kind, text, node.id)))
  }
  for (const node of before.topology.nodes) {
    if (!round.topology.nodesById.has(node.id)) news.push(tell('left', `${labelNode(node)} left the cluster`, node.id))
  }
  const [then, now] = [before.worker, round.worker]
  const isSame = then !== undefined && now !== undefined && keyOf(then) === keyOf(now)
  if (then && !isSame) news.push(tell('work-ended', `${nameOf(then)} is done: ${then.command}`))
  if (now && !isSame) news.push(tell('work-began', `${nameOf(now)} is at work: ${now.command}`))
  return news
}

function changesOf(old: ClusterNode, node: ClusterNode, topology: Topology): [News['kind'], string][] {
  const changes: [News['kind'], string][] = []
  if (old.role === 'replica' && node.role === 'primary') {
    const former = old.primaryId === undefined ? '' : `; it was a replica of ${labelId(topology, old.primaryId)}`
    changes.push(['took-over', `${labelNode(node)} is a primary now${former}`])
  } else if (node.role === 'replica' && (old.role === 'primary' || old.primaryId !== node.primaryId)) {
    const of = node.primaryId === undefined ? 'an unknown primary' : labelId(topology, node.primaryId)
    changes.push(['role', `${labelNode(node)} is a replica of ${of} now`])
  }
  if (formatAddress(old.address) !== formatAddress(node.address) && node.reach.kind === 'reached') {
    changes.push(['moved', `${labelNode(node)} was at ${formatAddress(old.address)}`])
  }
  return changes
}

function keyOf({host, pid, since}: Worker): string {
  return `${host} ${pid} ${since}`
}

function nameOf({user, host, pid}: Worker): string {
  return `${user}@${host} (process ${pid})`
}
