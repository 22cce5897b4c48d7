/**
 * What was the cluster like before something was changed in it that cannot be undone? Written to a file of its own in the
 * state folder, readable by the user alone, and never removed by us. The form is described in the README under "fix".
 */
import {randomBytes} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {formatRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {slotsOf} from '../topology/queries.ts'
import {stateFolder} from './state-folder.ts'

export interface BeforeState {
  readonly version: 1
  readonly kind: 'before-state'
  /** ISO 8601. */
  readonly writtenAt: string
  /** For which this was written: "fix". */
  readonly command: string
  /** What was about to be done, in the form of the command's own plan. */
  readonly plan: unknown
  readonly nodes: readonly {
    readonly id: NodeId
    readonly address: string
    readonly role: 'primary' | 'replica'
    readonly primaryId: NodeId | undefined
    readonly configEpoch: number
    /** Settledly owned, those of a node that is lost included: "0-99,4000". */
    readonly slots: string
    readonly isReachable: boolean
    /** CLUSTER NODES as this node told it; undefined where it did not answer. */
    readonly clusterNodes: string | undefined
  }[]
}

/** @returns the path of the file, whose bytes are on the disk. @throws the file system's error when it cannot be written. */
export function saveBeforeState(
  env: NodeJS.ProcessEnv,
  command: string,
  plan: unknown,
  topology: Topology,
  clusterNodes: ReadonlyMap<NodeId, string>,
): string {
  const state: BeforeState = {
    version: 1,
    kind: 'before-state',
    writtenAt: new Date().toISOString(),
    command,
    plan,
    nodes: topology.nodes.map((node) => ({
      id: node.id,
      address: formatAddress(node.address),
      role: node.role,
      primaryId: node.primaryId,
      configEpoch: node.configEpoch,
      slots: formatRanges(slotsOf(topology, node.id)),
      isReachable: node.reach.kind === 'reached',
      clusterNodes: clusterNodes.get(node.id),
    })),
  }
  const name = `before-${command}-${state.writtenAt.replaceAll(/[:.]/g, '')}-${randomBytes(2).toString('hex')}.json`
  const file = join(stateFolder(env), name)
  writeFileSync(file, `${JSON.stringify(state, undefined, 2)}\n`, {mode: 0o600, flag: 'wx', flush: true})
  return file
}
