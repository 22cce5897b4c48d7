/** What is wrong with this cluster? Runs all rules over one Topology; reads nothing else. */
import type {Topology} from '../topology/model.ts'
import {compareFindings, type Finding} from './finding.ts'
import {mergedClustersFound} from './merge-rules.ts'
import {
  failedNodes,
  ghostNodes,
  handshakes,
  loadingNodes,
  membershipGaps,
  mixedVersions,
  movedAway,
  suspectedNodes,
  unreachableNodes,
} from './node-rules.ts'
import {
  emptyPrimaries,
  epochCollisions,
  fewPrimaries,
  noReplicas,
  orphanedPrimaries,
  replicaLinksDown,
  strayReplicas,
} from './shard-rules.ts'
import {clusterDown, disagreements, openSlots, staleMarks, uncoveredSlots} from './slot-rules.ts'

const RULES: readonly ((topology: Topology) => readonly Finding[])[] = [
  mergedClustersFound,
  clusterDown,
  uncoveredSlots,
  disagreements,
  openSlots,
  staleMarks,
  unreachableNodes,
  movedAway,
  failedNodes,
  suspectedNodes,
  membershipGaps,
  handshakes,
  ghostNodes,
  loadingNodes,
  mixedVersions,
  replicaLinksDown,
  strayReplicas,
  epochCollisions,
  orphanedPrimaries,
  noReplicas,
  emptyPrimaries,
  fewPrimaries,
]

/** Errors first, then by rule, first slot and node ID. Empty: healthy. */
export function inspect(topology: Topology): readonly Finding[] {
  return RULES.flatMap((rule) => rule(topology)).sort(compareFindings)
}
