/** Which clusters should every planner cope with? Generators for the property tests. */
import fc from 'fast-check'
import type {SlotMove} from '../../src/lib/plan/plan.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {formatRanges, rangesFromSlots} from '../../src/lib/slots/slot-ranges.ts'
import type {NodeId, Topology} from '../../src/lib/topology/model.ts'
import {primaries, slotsOf} from '../../src/lib/topology/queries.ts'
import {buildTopology, startedIn} from '../support/topology-builder.ts'

const PRIMARY_NAMES = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H']

export interface Scene {
  readonly topology: Topology
  /** What an interrupted run has left open, ascending. */
  readonly started: readonly SlotMove[]
}

/** Two to eight primaries, some of them empty, whose ranges are more or less in pieces; some slots may be on their way. */
export function scenes(): fc.Arbitrary<Scene> {
  return fc
    .record({
      names: fc.shuffledSubarray(PRIMARY_NAMES, {minLength: 2}),
      cuts: fc.uniqueArray(fc.integer({min: 1, max: SLOT_COUNT - 1}), {maxLength: 40}),
      picks: fc.array(fc.nat(), {minLength: 41, maxLength: 41}),
      replicas: fc.dictionary(fc.constantFrom('R1', 'R2', 'R3', 'R4', 'R5'), fc.nat()),
      hosts: fc.dictionary(
        fc.constantFrom(...PRIMARY_NAMES, 'R1', 'R2', 'R3', 'R4', 'R5'),
        fc.constantFrom('h1', 'h2'),
      ),
      open: fc.uniqueArray(fc.record({slot: fc.nat(SLOT_COUNT - 1), to: fc.nat()}), {
        maxLength: 6,
        selector: ({slot}) => slot,
      }),
    })
    .map(({names, cuts, picks, replicas, hosts, open}) => {
      const ownerOf = (piece: number): string => names[picks[piece]! % names.length]!
      const bounds = [0, ...cuts.sort((a, b) => a - b), SLOT_COUNT]
      const slots = new Map<string, number[]>(names.map((name) => [name, []]))
      const owners: string[] = []
      for (const [piece, start] of bounds.slice(0, -1).entries()) {
        for (let slot = start; slot < bounds[piece + 1]!; slot++) {
          slots.get(ownerOf(piece))?.push(slot)
          owners.push(ownerOf(piece))
        }
      }
      const topology = buildTopology({
        primaries: Object.fromEntries([...slots].map(([name, own]) => [name, formatRanges(rangesFromSlots(own))])),
        replicas: Object.fromEntries(Object.entries(replicas).map(([name, n]) => [name, names[n % names.length]!])),
        hosts,
        open: open.flatMap(({slot, to}) => {
          const [from, target] = [owners[slot]!, names[to % names.length]!]
          return from === target ? [] : [{slots: `${slot}`, from, to: target}]
        }),
      })
      return {topology, started: startedIn(topology)}
    })
}

/** The same cluster with its lists in another order. */
export function reversed(topology: Topology): Topology {
  return {...topology, nodes: topology.nodes.toReversed(), shards: topology.shards.toReversed()}
}

/** Slots of every primary, those without any included. */
export function countsOf(topology: Topology): Map<NodeId, number> {
  const counts = new Map<NodeId, number>(primaries(topology).map(({id}) => [id, 0]))
  for (const owner of topology.owners) if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  return counts
}

/** How many ranges all primaries have together. */
export function rangeCount(topology: Topology): number {
  return primaries(topology).reduce((sum, {id}) => sum + slotsOf(topology, id).length, 0)
}
