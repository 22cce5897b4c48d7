/**
 * What does `check` find? All rules of the book, or those that were chosen, over a topology and what nodes told beside it;
 * and which rules could not be judged, where and why. Pure.
 */
import type {NodeId, Topology} from '../topology/model.ts'
import type {ClusterDetails, DetailsWanted, Told} from '../topology/node-details.ts'
import {aclDrift, configDrift, functionDrift, isTold, moduleDrift, nodeTimeoutDrift, SETTINGS} from './drift-rules.ts'
import {compareFindings, type Finding} from './finding.ts'
import {inspect} from './inspect.ts'
import {quorumInOneZone, quorumOnOneHost, replicasInPrimaryZone, replicasOnPrimaryHost} from './placement-rules.ts'
import {RULE_BOOK, RULE_IDS, type RuleId, type Source} from './rule-book.ts'
import {
  busLinksDown,
  fragmentedSlots,
  laggingReplicas,
  memoryNearLimit,
  orphanKeys,
  persistenceFailing,
  persistenceOff,
} from './strain-rules.ts'

/** Beside those of `inspect`, by which other commands refuse. */
const FURTHER_RULES: readonly ((topology: Topology, details: ClusterDetails) => readonly Finding[])[] = [
  busLinksDown,
  laggingReplicas,
  replicasOnPrimaryHost,
  replicasInPrimaryZone,
  quorumOnOneHost,
  quorumInOneZone,
  nodeTimeoutDrift,
  configDrift,
  functionDrift,
  aclDrift,
  moduleDrift,
  memoryNearLimit,
  persistenceOff,
  persistenceFailing,
  fragmentedSlots,
  orphanKeys,
]

export interface NotJudged {
  readonly rules: readonly RuleId[]
  /** Where; empty: nowhere at all. */
  readonly nodes: readonly NodeId[]
  readonly reason: string
  /** It costs too much to be judged unless somebody asks for it. */
  readonly isOnDemand: boolean
}

export interface Examination {
  /** Errors first, notes last, then by rule, first slot and node ID. */
  readonly findings: readonly Finding[]
  /** In the order of the book. */
  readonly rules: readonly RuleId[]
  /** Nodes that were not reached are not among them: that is a finding of its own. */
  readonly notJudged: readonly NotJudged[]
}

export function examine(topology: Topology, details: ClusterDetails, rules = RULE_IDS): Examination {
  const chosen = new Set<string>(rules)
  const findings = [...inspect(topology), ...FURTHER_RULES.flatMap((rule) => rule(topology, details))]
  return {
    findings: findings.filter(({id}) => chosen.has(id)).sort(compareFindings),
    rules: RULE_IDS.filter((id) => chosen.has(id)),
    notJudged: notJudged(topology, details, chosen),
  }
}

/** What these rules need to be told; undefined: nothing beyond the topology. */
export function detailsFor(rules: readonly RuleId[]): DetailsWanted | undefined {
  const needs = new Set(rules.map((id) => RULE_BOOK[id].needs))
  const wanted = {
    settings: needs.has('settings') ? SETTINGS : [],
    libraries: needs.has('libraries'),
    users: needs.has('users'),
  }
  return wanted.settings.length > 0 || wanted.libraries || wanted.users ? wanted : undefined
}

function notJudged(topology: Topology, details: ClusterDetails, chosen: ReadonlySet<string>): NotJudged[] {
  const reached = topology.nodes.flatMap(({id, reach}) => (reach.kind === 'reached' ? [{id, view: reach.view}] : []))
  const reasonAt: Readonly<Record<Exclude<Source, 'keys'>, (node: (typeof reached)[number]) => string | undefined>> = {
    info: ({view}) => (isTold(view.serverInfo) ? undefined : 'our user may not INFO'),
    settings: ({id}) => reasonOf(details.nodes.get(id)?.settings),
    libraries: ({id}) => reasonOf(details.nodes.get(id)?.libraries),
    users: ({id}) => reasonOf(details.nodes.get(id)?.users),
  }
  const rulesOf = (source: Source): RuleId[] =>
    RULE_IDS.filter((id) => chosen.has(id) && RULE_BOOK[id].needs === source)
  const byNodesAndReason = new Map<string, {rules: RuleId[]; nodes: NodeId[]; reason: string; isOnDemand: boolean}>()
  for (const source of ['info', 'settings', 'libraries', 'users'] as const) {
    const rules = rulesOf(source)
    if (rules.length === 0) continue
    const nodesByReason = new Map<string, NodeId[]>()
    for (const node of reached) {
      const reason = reasonAt[source](node)
      if (reason !== undefined) nodesByReason.set(reason, [...(nodesByReason.get(reason) ?? []), node.id])
    }
    for (const [reason, nodes] of nodesByReason) {
      const key = JSON.stringify([reason, nodes])
      const same = byNodesAndReason.get(key)
      if (same) same.rules.push(...rules)
      else byNodesAndReason.set(key, {rules: [...rules], nodes, reason, isOnDemand: false})
    }
  }
  return [...byNodesAndReason.values(), ...uncounted(details, rulesOf('keys'))]
}

function uncounted({orphanKeys}: ClusterDetails, rules: readonly RuleId[]): NotJudged[] {
  const reason = orphanKeys ? reasonOf(orphanKeys) : 'keys are counted only with --deep'
  if (rules.length === 0 || reason === undefined) return []
  return [{rules, nodes: [], reason, isOnDemand: !orphanKeys}]
}

function reasonOf(told: Told<unknown> | undefined): string | undefined {
  if (!told) return 'it was not asked'
  return 'unknown' in told ? told.unknown : undefined
}
