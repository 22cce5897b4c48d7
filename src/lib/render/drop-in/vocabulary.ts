/** Which words do the lines of the drop-in form use? Those of the CLI that came with the server. */
import {nodesInSeedOrder} from '../../plan/redis-cli/node-order.ts'
import type {ServerInfo, Topology} from '../../topology/model.ts'

export interface Vocabulary {
  readonly product: 'Redis' | 'Valkey'
  readonly primary: string
  readonly primaries: string
  readonly replicas: string
  /** Of which there may be one. */
  readonly nodes: string
}

const REDIS: Vocabulary = {
  product: 'Redis',
  primary: 'master',
  primaries: 'masters',
  replicas: 'slaves',
  nodes: 'nodes',
}
const VALKEY: Vocabulary = {
  product: 'Valkey',
  primary: 'primary',
  primaries: 'primaries',
  replicas: 'replicas',
  nodes: 'node(s)',
}

export function vocabularyOf(flavour: ServerInfo['flavour']): Vocabulary {
  return flavour === 'valkey' ? VALKEY : REDIS
}

/** By the seed. */
export function vocabularyFor(topology: Topology): Vocabulary {
  const [first] = nodesInSeedOrder(topology)
  return vocabularyOf(first?.reach.kind === 'reached' ? first.reach.view.serverInfo.flavour : 'redis')
}
