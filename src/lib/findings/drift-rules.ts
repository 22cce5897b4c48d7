/** What should be alike on all nodes, and is not? Only nodes that told of it are compared. */
import {type ClusterNode, formatAddress, type ServerInfo, type Topology} from '../topology/model.ts'
import {type ClusterDetails, type NodeDetails, toldValue} from '../topology/node-details.ts'
import {listNodes, seedAddress} from '../topology/queries.ts'
import {versionOf} from '../topology/versions.ts'
import {type Difference, findDifferences, MISSING} from './differences.ts'
import type {Finding, Having} from './finding.ts'
import {groupNodes, inOrderOfNodes, type NodeGroup} from './group-nodes.ts'

const NODE_TIMEOUT = 'cluster-node-timeout'

/** Not among them: what may well differ from node to node, such as cluster-replica-no-failover or what is announced. */
const ALIKE = [
  'cluster-allow-reads-when-down',
  'cluster-allow-replica-migration',
  'cluster-databases',
  'cluster-migration-barrier',
  'cluster-preferred-endpoint-type',
  'cluster-replica-validity-factor',
  'cluster-require-full-coverage',
  'maxmemory',
  'maxmemory-policy',
  'min-replicas-max-lag',
  'min-replicas-to-write',
  'tls-cluster',
  'tls-replication',
]

/** What the rules below and those of persistence ask for. None of them is a secret. */
export const SETTINGS: readonly string[] = [NODE_TIMEOUT, ...ALIKE, 'appendonly', 'save']

export function nodeTimeoutDrift(topology: Topology, details: ClusterDetails): readonly Finding[] {
  const groups = groupNodes(topology.nodes, settingOf(details, NODE_TIMEOUT))
  const [common] = groups
  if (!common || groups.length < 2) return []
  return [
    {
      id: 'node-timeout-drift',
      severity: 'warning',
      message: `${NODE_TIMEOUT} differs: ${describe(groups, ' ms')}; nodes judge one another by different clocks`,
      nodes: deviants(groups),
      slots: [],
      evidence: evidenceOf(NODE_TIMEOUT, groups),
      suggestions: [`rcluster set-timeout ${seedAddress(topology)} ${common.value}`],
      setting: NODE_TIMEOUT,
      values: havings(groups),
    },
  ]
}

export function configDrift(topology: Topology, details: ClusterDetails): readonly Finding[] {
  return ALIKE.flatMap((setting) => {
    const groups = groupNodes(topology.nodes, settingOf(details, setting))
    const [common] = groups
    if (!common || groups.length < 2) return []
    return [
      {
        id: 'config-drift',
        severity: 'warning',
        message: `${setting} differs: ${describe(groups)}`,
        nodes: deviants(groups),
        slots: [],
        evidence: evidenceOf(setting, groups),
        suggestions: /^[\w.-]+$/.test(common.value)
          ? [`rcluster config set ${seedAddress(topology)} ${setting} ${common.value} --rewrite`]
          : [`Set it alike on all nodes: rcluster config set ${seedAddress(topology)} ${setting} VALUE --rewrite`],
        setting,
        values: havings(groups),
      } satisfies Finding,
    ]
  })
}

export function functionDrift(topology: Topology, details: ClusterDetails): readonly Finding[] {
  return differing(topology.nodes, details, 'libraries').map(({name, groups}): Finding => {
    return {
      id: 'function-drift',
      severity: 'warning',
      message: `function library ${name} ${whoHas(groups)}`,
      nodes: deviants(groups),
      slots: [],
      evidence: groups.map(
        ({value, nodes}) => `${name} ${value === MISSING ? 'missing' : value.slice(0, 12)} on ${listNodes(nodes)}`,
      ),
      suggestions: [adviceOnLibrary(topology, groups)],
      library: name,
    }
  })
}

/** Copied where it is missing; whose code counts where it differs, only people know. */
function adviceOnLibrary(topology: Topology, groups: readonly NodeGroup[]): string {
  const sync = `rcluster functions sync ${seedAddress(topology)}`
  const isConflict = groups.filter(({value}) => value !== MISSING).length > 1
  return isConflict ? `Copy it from the node that has it right: ${sync} --from ${holder(groups)} --replace` : sync
}

/** One of the nodes that have it most alike, a primary before a replica. */
function holder(groups: readonly NodeGroup[]): string {
  const nodes = groups.find(({value}) => value !== MISSING)?.nodes ?? []
  const node = nodes.find(({role}) => role === 'primary') ?? nodes[0]
  return node ? formatAddress(node.address) : 'NODE'
}

/** The rules of a user are written in other words by other versions: they are compared among nodes of one version. */
export function aclDrift(topology: Topology, details: ClusterDetails): readonly Finding[] {
  const found = new Map<string, readonly NodeGroup[]>()
  for (const {nodes} of groupNodes(topology.nodes, versionOf)) {
    for (const {name, groups} of differing(nodes, details, 'users')) found.set(name, inOrderOfNodes(groups))
  }
  const isThere = (node: ClusterNode): ReadonlyMap<string, string> | undefined => {
    const users = toldValue(details.nodes.get(node.id)?.users)
    return users && new Map([...users.keys()].map((name) => [name, 'there']))
  }
  for (const {name, groups} of findDifferences(topology.nodes, isThere)) if (!found.has(name)) found.set(name, groups)
  return [...found].map(([user, groups]): Finding => {
    return {
      id: 'acl-drift',
      severity: 'warning',
      message: `user ${user} ${whoHas(groups)}`,
      nodes: deviants(groups),
      slots: [],
      evidence: groups.map(
        ({value, nodes}) =>
          `user ${user} ${value === MISSING ? 'missing' : 'with the same rules and passwords'} on ${listNodes(nodes)}`,
      ),
      suggestions: [
        `See what differs: rcluster acl list ${seedAddress(topology)}`,
        `Make it alike, as on the node that has it right: rcluster acl set ${seedAddress(topology)} ${/^[\w.-]+$/.test(user) ? user : 'USER'} --from ${holder(groups)} --save`,
      ],
      user,
    }
  })
}

/** Other versions of a server come with other modules: they are compared among nodes of one version. */
export function moduleDrift(topology: Topology): readonly Finding[] {
  const modulesOf = ({reach}: ClusterNode): ReadonlyMap<string, string> | undefined =>
    reach.kind === 'reached' && isTold(reach.view.serverInfo) ? reach.view.serverInfo.moduleVersions : undefined
  return groupNodes(topology.nodes, versionOf).flatMap(({nodes: alike}) =>
    findDifferences(alike, modulesOf).map(({name, groups}): Finding => {
      const who = groups.map(
        ({value, nodes}) => `${value === MISSING ? 'not' : `version ${value}`} on ${listNodes(nodes, 3)}`,
      )
      return {
        id: 'module-drift',
        severity: 'warning',
        message: `module ${name} differs: ${who.join(', ')}; its values cannot go where it is missing`,
        nodes: deviants(groups),
        slots: [],
        evidence: evidenceOf(`module ${name}`, groups),
        suggestions: ['Load the same module everywhere: loadmodule in the configuration file, then restart the node'],
        module: name,
        values: havings(groups),
      }
    }),
  )
}

/** A user without +info gets a server of no version. */
export function isTold({version}: ServerInfo): boolean {
  return version !== ''
}

export function settingOf(details: ClusterDetails, setting: string): (node: ClusterNode) => string | undefined {
  return ({id}) => toldValue(details.nodes.get(id)?.settings)?.get(setting)
}

function differing(
  nodes: readonly ClusterNode[],
  details: ClusterDetails,
  kind: Exclude<keyof NodeDetails, 'settings'>,
): Difference[] {
  return findDifferences(nodes, ({id}) => toldValue(details.nodes.get(id)?.[kind]))
}

/** "5000 ms on 5 nodes, 15000 ms on 127.0.0.1:7003 (4b27b32c)" */
function describe(groups: readonly NodeGroup[], unit = ''): string {
  const parts = groups.map(({value, nodes}) => {
    const who = nodes.length > 2 ? `${nodes.length} nodes` : listNodes(nodes)
    return `${value === '' ? '(empty)' : value}${unit} on ${who}`
  })
  return parts.length > 4 ? `${parts.slice(0, 4).join(', ')} and ${parts.length - 4} more values` : parts.join(', ')
}

function evidenceOf(what: string, groups: readonly NodeGroup[]): string[] {
  return groups.map(({value, nodes}) => `${what} ${value === '' ? '(empty)' : value} on ${listNodes(nodes)}`)
}

/** "differs between A and B, and is not on C", "is on A, and not on C" */
function whoHas(groups: readonly NodeGroup[]): string {
  const without = groups.find(({value}) => value === MISSING)
  const having = groups.filter((group) => group !== without).map(({nodes}) => listNodes(nodes, 3))
  const who = having.length > 1 ? `differs between ${having.join(' and ')}` : `is on ${having.join()}`
  return without ? `${who}, and ${having.length > 1 ? 'is ' : ''}not on ${listNodes(without.nodes, 3)}` : who
}

/** All that do not have the commonest value. */
function deviants([, ...others]: readonly NodeGroup[]): string[] {
  return others.flatMap(({nodes}) => nodes.map(({id}) => id)).sort()
}

function havings(groups: readonly NodeGroup[]): Having[] {
  return groups.map(({value, nodes}) => ({value, nodes: nodes.map(({id}) => id)}))
}
