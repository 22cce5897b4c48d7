/**
 * What do big keys mean for a plan of slot moves: how long does each stall its nodes, and which slots stay where they
 * are? Nothing but one MIGRATE carries one key, and its source serves nobody meanwhile. Pure.
 */
import {formatAddress, type Topology} from '../topology/model.ts'
import {buildMovePlan} from './move-plan.ts'
import type {BigKey, BigKeySurvey, MovePlan, SlotMove} from './plan.ts'
import {withLoadOf} from './planned-load.ts'

/**
 * 160 ms for the slowest type, 40 ms for most. Below this a stall is lost among those that a node has anyway, and
 * a node that holds less than this altogether need not be looked at.
 */
export const BIG_KEY_BYTES = 4 * 2 ** 20

/**
 * Milliseconds of MIGRATE for each MB that MEMORY USAGE tells: one run on Redis 7.0.15 on a busy machine. Lists took 3 to
 * 10, sorted sets 6 to 8, strings of random bytes 7 to 10, sets 16 to 27, hashes 23 to 49. Others were not measured.
 */
const STALL_MS_PER_MB: Readonly<Record<string, number>> = {
  string: 10,
  list: 10,
  zset: 10,
  set: 25,
  hash: 40,
}
const SLOWEST_MS_PER_MB = Math.max(...Object.values(STALL_MS_PER_MB))

/** How long a MIGRATE of one key of this size in memory is expected to hold its source; types not known count as the slowest. */
export function expectedStallMs(bytes: number, type?: string): number {
  return Math.ceil((bytes / 2 ** 20) * (STALL_MS_PER_MB[type ?? ''] ?? SLOWEST_MS_PER_MB))
}

/** The longest stall first, then by slot and key. */
export function byStall(a: BigKey, b: BigKey): number {
  return b.stallMs - a.stallMs || a.slot - b.slot || a.database - b.database || (a.keyHex < b.keyHex ? -1 : 1)
}

/**
 * The plan with what the survey found, and warnings of what it means. `isSkipping`: slots of big keys stay where they
 * are, but for those that a move has begun to open: a slot is not left half moved for the sake of a key.
 */
export function withBigKeys(
  topology: Topology,
  plan: MovePlan,
  survey: BigKeySurvey,
  {isSkipping}: {readonly isSkipping: boolean},
): MovePlan {
  const open = new Set(topology.openSlots.map(({slot}) => slot))
  const mayStay = ({slot, to}: SlotMove): boolean => !open.has(slot) && topology.owners[slot] !== to
  const staying = new Set(isSkipping ? survey.keys.map(({slot}) => slot) : [])
  const moves = plan.moves.filter((move) => !(staying.has(move.slot) && mayStay(move)))
  const moving = new Set(moves.map(({slot}) => slot))
  const bigKeys = {
    ...survey,
    keys: survey.keys.filter(({slot}) => moving.has(slot)),
    left: survey.keys.filter(({slot}) => !moving.has(slot)),
  }
  const warnings = [...plan.warnings, ...stallWarnings(topology, bigKeys), ...oversightWarnings(bigKeys, isSkipping)]
  if (moves.length === plan.moves.length) return {...plan, bigKeys, warnings}
  const used = new Set(moves.map(({from, to}) => `${from} ${to}`))
  return {
    ...withLoadOf(plan, buildMovePlan(topology, plan.kind, moves, warnings), topology),
    movers: plan.movers.filter(({from, to}) => used.has(`${from} ${to}`)),
    bigKeys,
  }
}

/** A node that is silent for its cluster-node-timeout is voted down; half of it leaves room for the estimate. */
function stallWarnings(topology: Topology, {keys, nodeTimeoutMs}: BigKeySurvey): string[] {
  if (nodeTimeoutMs === undefined) return []
  const long = keys.filter(({stallMs}) => stallMs > nodeTimeoutMs / 2)
  if (long.length === 0) return []
  const slots = [...new Set(long.map(({slot}) => slot))].sort((a, b) => a - b)
  const ids = [...new Set(long.flatMap(({from, to}) => [from, to]))]
  const nodes = ids.map((id) => {
    const node = topology.nodesById.get(id)
    return node ? formatAddress(node.address) : id.slice(0, 8)
  })
  const whose = slots.length === 1 ? `slot ${slots[0]} has a key` : `${slots.length} slots have keys`
  return [
    `${whose} whose move may keep ${nodes.sort().join(' and ')} silent for more than half of cluster-node-timeout (${nodeTimeoutMs} ms): the other nodes may take them for failed. Raise it on all nodes for the time of the move, or leave such slots with --skip-big`,
  ]
}

/** --skip-big is a promise: where it cannot be kept, that is said. */
function oversightWarnings({isComplete, thresholdBytes}: BigKeySurvey, isSkipping: boolean): string[] {
  if (!isSkipping || isComplete) return []
  return [`not every key could be looked at: keys of ${thresholdBytes} bytes and more may be among those that move`]
}
