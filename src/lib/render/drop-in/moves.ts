/** How does redis-cli show which slots are about to move, and how they do? */

import type {RedisCliRebalance, Transfer} from '../../plan/redis-cli/rebalance.ts'
import type {Given, RedisCliReshard} from '../../plan/redis-cli/reshard.ts'
import {countSlots, rangesFromSlots} from '../../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../../topology/model.ts'
import {bracketed} from './nodes.ts'
import {vocabularyFor} from './vocabulary.ts'

/** A line that grows while its slots move: a mark for each key as it arrives, or for each slot. */
export interface GrowingLine {
  readonly head: string
  readonly slots: readonly number[]
  readonly marks: 'keys' | 'slots'
}

/** `sources`: all that were named, with slots to give or without. */
export function renderReshard(
  topology: Topology,
  {plan, given}: RedisCliReshard,
  sources: readonly ClusterNode[],
  target: ClusterNode,
): string {
  return [
    '',
    ...plan.warnings.map((text) => `*** ${text}`),
    `Ready to move ${plan.moves.length} slots.`,
    '  Source nodes:',
    ...sources.map(renderEnd),
    '  Destination node:',
    renderEnd(target),
    '  Resharding plan:',
    ...given.flatMap((one) => givenLines(topology, one)),
  ].join('\n')
}

function renderEnd({id, address, ranges}: ClusterNode): string {
  return `    M: ${id} ${formatAddress(address)}\n       slots:${bracketed(ranges)} (${countSlots(ranges)} slots) master`
}

/** valkey-cli writes a source's slots on one line, redis-cli each on its own. */
function givenLines(topology: Topology, {from, slots}: Given): string[] {
  if (vocabularyFor(topology).product === 'Redis') return slots.map((slot) => `    Moving slot ${slot} from ${from}`)
  return [`    Moving slot range ${spelledRanges(slots)} from ${from}`]
}

/** "0-1 5461-5461" */
function spelledRanges(slots: readonly number[]): string {
  return rangesFromSlots(slots)
    .map(({start, end}) => `${start}-${end}`)
    .join(' ')
}

/** One line a slot with a dot a key; of slots that move together one line a source, with a mark a slot. */
export function reshardLines(
  topology: Topology,
  {given}: RedisCliReshard,
  to: NodeId,
  isAtomic: boolean,
): GrowingLine[] {
  return given.flatMap(({from, slots}): GrowingLine[] => {
    const way = `from ${addressOf(topology, from)} to ${addressOf(topology, to)}`
    if (isAtomic) {
      const head = `Moving slot range ${spelledRanges(slots)} ${way} via atomic slot migration: `
      return [{head, slots, marks: 'slots'}]
    }
    return slots.map((slot) => ({head: `Moving slot ${slot} ${way}: `, slots: [slot], marks: 'keys'}))
  })
}

export function renderRebalance(topology: Topology, planned: RedisCliRebalance, isVerbose: boolean): string {
  const {involved, totalWeight, balances} = planned
  const lines = [`>>> Rebalancing across ${involved} nodes. Total weight = ${totalWeight.toFixed(2)}`]
  if (isVerbose) {
    lines.push(...balances.map(({id, balance}) => `${addressOf(topology, id)} balance is ${balance} slots`))
  }
  return lines.join('\n')
}

export function rebalanceLines(topology: Topology, transfers: readonly Transfer[]): GrowingLine[] {
  return transfers.map(({from, to, slots}) => ({
    head: `Moving ${slots.length} slots from ${addressOf(topology, from)} to ${addressOf(topology, to)}\n`,
    slots,
    marks: 'slots',
  }))
}

function addressOf(topology: Topology, id: NodeId): string {
  const node = topology.nodesById.get(id)
  return node ? formatAddress(node.address) : id
}
