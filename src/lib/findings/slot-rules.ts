/** Which slots are not served as they should be? */
import {countSlots, formatRanges, rangesFromSlots, type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type OpenSlot, type Topology} from '../topology/model.ts'
import {labelId, listNodes, replicasOf, seedAddress} from '../topology/queries.ts'
import {explainDisagreement} from './dispute.ts'
import type {Finding} from './finding.ts'
import {waysToReach} from './way-to-reach.ts'

export function clusterDown(topology: Topology): readonly Finding[] {
  const reached = topology.nodes.filter(({reach}) => reach.kind === 'reached')
  const down = reached.filter(({reach}) => reach.kind === 'reached' && reach.view.clusterInfo.state === 'fail')
  if (down.length === 0) return []
  return [
    {
      id: 'cluster-down',
      severity: 'error',
      message: `cluster_state is fail on ${down.length} of ${reached.length} reached nodes, which refuse keys: ${listNodes(down)}`,
      nodes: down.map(({id}) => id),
      slots: [],
      suggestions: [
        'A node that has just started or joined takes up to 5 s; otherwise see to the other findings first, then ' +
          `rcluster check ${seedAddress(topology)}`,
      ],
    },
  ]
}

/** One finding for each absent owner, and one for the slots that nobody claims. */
export function uncoveredSlots(topology: Topology): readonly Finding[] {
  const byOwner = new Map<NodeId | undefined, number[]>()
  for (const slot of slotsInRanges(topology.uncovered)) {
    const owner = topology.owners[slot]
    const slots = byOwner.get(owner)
    if (slots) slots.push(slot)
    else byOwner.set(owner, [slot])
  }
  const ways = waysToReach(topology)
  return [...byOwner].map(([owner, slots]): Finding => {
    const ranges = rangesFromSlots(slots)
    const way = owner === undefined ? undefined : ways.get(owner)
    const [isAre, subject] = [slots.length === 1 ? 'is' : 'are', nameSlots(ranges)]
    return {
      id: 'uncovered-slots',
      severity: 'error',
      message:
        owner === undefined
          ? `${subject} ${isAre} uncovered: no node that was reached claims ${slots.length === 1 ? 'it' : 'them'}`
          : `${subject} ${isAre} uncovered: ${labelId(topology, owner)}, the owner, cannot be reached${way === undefined ? '' : whyNot(topology, owner)}`,
      nodes: owner === undefined ? [] : [owner],
      slots: ranges,
      suggestions: [way ?? wayToCover(topology, owner)],
      owner,
    }
  })
}

function whyNot(topology: Topology, owner: NodeId): string {
  const reach = topology.nodesById.get(owner)?.reach
  return reach?.kind === 'unreachable' ? `: ${reach.message}` : ''
}

function wayToCover(topology: Topology, owner: NodeId | undefined): string {
  if (topology.owners.every((one) => one === undefined)) {
    return 'If this is no cluster yet: rcluster create NODE NODE NODE builds one'
  }
  if (owner === undefined) {
    return `Start the node again that held them; only if there is none: rcluster fix ${seedAddress(topology)}`
  }
  const heir = replicasOf(topology, owner).find(({reach}) => reach.kind === 'reached')
  const start = `Start ${labelId(topology, owner)} again`
  const fix = `rcluster fix ${seedAddress(topology)}`
  return heir
    ? `${start}, or let its best replica take over: ${fix} --allow disruptive`
    : `${start}; only if it is lost for good, see what giving up its keys would mean: ${fix} --dry-run`
}

export function disagreements(topology: Topology): readonly Finding[] {
  return topology.disagreements.map((disagreement): Finding => {
    const {ranges, opinions} = disagreement
    const dispute = explainDisagreement(disagreement, topology)
    const {winner, isSettling, losers} = dispute
    const said = opinions.map(({owner, configEpoch, saidBy}) => {
      const sayers = listNodes(
        saidBy.flatMap((id) => topology.nodesById.get(id) ?? []),
        3,
      )
      const claim =
        owner === undefined
          ? 'nobody'
          : `${labelId(topology, owner)}${configEpoch === undefined ? '' : ` at epoch ${configEpoch}`}`
      return `${sayers} ${saidBy.length === 1 ? 'says' : 'say'} ${claim}`
    })
    const outcome =
      winner === undefined
        ? 'no node stands by a claim, so none will win'
        : `${labelId(topology, winner)} ${isSettling ? 'will win' : 'has the better claim, which does not get through'}`
    const losses = (isSettling ? losers : []).map((id) => `${labelId(topology, id)} throws away its keys of them then`)
    return {
      id: 'disagreement',
      severity: 'error',
      message: `${nameSlots(ranges)}: nodes disagree on the owner: ${said.join('; ')}; ${[outcome, ...losses].join('; ')}`,
      nodes: [...new Set(opinions.flatMap(({owner}) => owner ?? []))].sort(),
      slots: ranges,
      evidence: [
        ...(winner === undefined ? [] : [`${labelId(topology, winner)} has the better claim: ${dispute.grounds}`]),
        dispute.outlook,
        ...losses,
      ],
      suggestions: [
        isSettling
          ? `Nodes settle this among themselves within seconds: rcluster check ${seedAddress(topology)}`
          : `rcluster fix ${seedAddress(topology)}`,
      ],
      disagreement,
      winner,
      dispute,
    }
  })
}

/** One finding for all slots on the same way, or with the same marks at the same nodes where these fit no move. */
export function openSlots(topology: Topology): readonly Finding[] {
  return openSlotFindings(topology, topology.openSlots)
}

export function openSlotFindings(topology: Topology, open: readonly OpenSlot[]): readonly Finding[] {
  const groups = new Map<string, OpenSlot[]>()
  for (const openSlot of open) {
    const move = moveOf(openSlot)
    const key = move
      ? `${move.from} ${move.to}`
      : JSON.stringify([openSlot.migrating, openSlot.importing, openSlot.owner])
    const group = groups.get(key)
    if (group) group.push(openSlot)
    else groups.set(key, [openSlot])
  }
  return [...groups.values()].map((group): Finding => {
    const {migrating, importing, owner} = group[0]!
    const ranges = rangesFromSlots(group.map(({slot}) => slot))
    const move = moveOf(group[0]!)
    const marks = [
      ...migrating.map(({node, to}) => `migrating on ${labelId(topology, node)} to ${labelId(topology, to)}`),
      ...importing.map(({node, from}) => `importing on ${labelId(topology, node)} from ${labelId(topology, from)}`),
    ]
    const them = countSlots(ranges) === 1 ? 'it' : 'them'
    const ownerText = owner === undefined ? `nobody owns ${them}` : `${labelId(topology, owner)} owns ${them}`
    const state = move
      ? `on the way from ${labelId(topology, move.from)} to ${labelId(topology, move.to)}`
      : `${marks.join(', ')}; ${ownerText}`
    const touched = [
      ...migrating.flatMap(({node, to}) => [node, to]),
      ...importing.flatMap(({node, from}) => [node, from]),
    ]
    return {
      id: 'open-slot',
      severity: 'error',
      message: `${nameSlots(ranges)} ${countSlots(ranges) === 1 ? 'is' : 'are'} open: ${state}`,
      nodes: [...new Set(touched)].sort(),
      slots: ranges,
      suggestions: [wayToClose(topology, group[0]!, ranges)],
      openSlots: group,
    }
  })
}

/** One finding a replica. */
export function staleMarks(topology: Topology): readonly Finding[] {
  const slotsByReplica = new Map<NodeId, number[]>()
  for (const {slot, replica} of topology.staleMarks) {
    const slots = slotsByReplica.get(replica)
    if (slots) slots.push(slot)
    else slotsByReplica.set(replica, [slot])
  }
  return [...slotsByReplica].map(([replica, slots]): Finding => {
    const ranges = rangesFromSlots(slots)
    const [is, them] = slots.length === 1 ? ['is', 'it'] : ['are', 'them']
    return {
      id: 'stale-mark',
      severity: 'error',
      message: `${nameSlots(ranges)} ${is} marked as open on ${labelId(topology, replica)}, a replica whose primary has closed ${them}: if it takes over, ${them === 'it' ? 'it is' : 'they are'} open again`,
      nodes: [replica],
      slots: ranges,
      suggestions: [`rcluster fix ${seedAddress(topology)}`],
    }
  })
}

/** The ends of a move that did not end, when all marks tell of that one move and an end of it owns the slot. */
export function moveOf(open: OpenSlot): {from: NodeId; to: NodeId} | undefined {
  const [first, ...others] = [
    ...open.migrating.map(({node, to}) => ({from: node, to})),
    ...open.importing.map(({node, from}) => ({from, to: node})),
  ]
  if (!first || first.from === first.to || (open.owner !== first.from && open.owner !== first.to)) return undefined
  return others.every(({from, to}) => from === first.from && to === first.to) ? first : undefined
}

function wayToClose(topology: Topology, open: OpenSlot, ranges: SlotRanges): string {
  const move = moveOf(open)
  const [from, to] = [topology.nodesById.get(move?.from ?? ''), topology.nodesById.get(move?.to ?? '')]
  if (from && to) {
    const ends = `--from ${formatAddress(from.address)} --to ${formatAddress(to.address)}`
    return `rcluster reshard ${seedAddress(topology)} ${ends} --slots-list ${formatRanges(ranges)}`
  }
  return `rcluster fix ${seedAddress(topology)}`
}

/** "slot 866", "5462 slots 5461-10922"; a long list of ranges is cut. */
export function nameSlots(ranges: SlotRanges): string {
  const count = countSlots(ranges)
  if (count === 1) return `slot ${formatRanges(ranges)}`
  const shown = formatRanges(ranges.slice(0, 8))
  return `${count} slots ${shown}${ranges.length > 8 ? `,… (${ranges.length} ranges)` : ''}`
}
