/** How does a run of moves end? All nodes have the new owners, or it is said what is true instead, and what goes on from there. */
import {ClusterError, InterruptedError, NodeError} from '../errors.ts'
import type {SlotMove} from '../plan/plan.ts'
import {countSlots, formatRanges, formatSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelId} from '../topology/queries.ts'
import type {EngineListener} from './events.ts'
import type {MoveLedger} from './move-ledger.ts'
import {adviceAfter} from './retrying.ts'
import type {ClusterSession} from './session.ts'
import {SETTLE_DEADLINE_MS} from './settle.ts'
import type {ShardsAtStart} from './shards-at-start.ts'
import {pollUntil} from './waiting.ts'

/** Slots that all nodes give to somebody else for so long have been moved on. */
const GONE_ELSEWHERE_MS = 2000

export class RunEnding {
  readonly #session: ClusterSession
  readonly #shards: ShardsAtStart
  readonly #ledger: MoveLedger
  readonly #listener: EngineListener
  readonly #abort: AbortSignal | undefined

  constructor(
    session: ClusterSession,
    shards: ShardsAtStart,
    ledger: MoveLedger,
    {listener, abort}: {readonly listener: EngineListener; readonly abort: AbortSignal | undefined},
  ) {
    this.#session = session
    this.#shards = shards
    this.#ledger = ledger
    this.#listener = listener
    this.#abort = abort
  }

  /**
   * All reached nodes must have the new owners; a source that kept its mark is told once more. Members of the shards that
   * were away may be back, and have marks of before: they are asked once more.
   */
  async requireAgreement(): Promise<void> {
    if (this.#ledger.done.size === 0) return
    this.#listener({kind: 'phase', text: 'Checking that all nodes agree'})
    const moved = this.#ledger.moves.filter(({slot}) => this.#ledger.done.has(slot))
    let lagging: readonly SlotMove[] = []
    let agreedSinceMs = Number.POSITIVE_INFINITY
    let hasAskedAgain = false
    const settled = await pollUntil(
      async () => {
        let topology = await this.#session.refresh()
        if (!hasAskedAgain && this.#isAnyAway(topology, moved)) topology = await this.#session.observe()
        hasAskedAgain = true
        lagging = moved.filter(({slot, to}) => !this.#shards.membersOf(to).has(topology.owners[slot] ?? ''))
        const marks = await this.#closeMarks(topology)
        const isAgreed = marks === 0 && topology.disagreements.length === 0
        if (isAgreed && lagging.length === 0) return topology
        agreedSinceMs = isAgreed ? Math.min(agreedSinceMs, performance.now()) : Number.POSITIVE_INFINITY
        // Where all agree on another owner there is nothing to wait for.
        return performance.now() - agreedSinceMs > GONE_ELSEWHERE_MS ? false : undefined
      },
      {deadlineMs: SETTLE_DEADLINE_MS, signal: this.#abort},
    )
    if (this.#abort?.aborted) throw this.cutOff(this.#abort.reason)
    if (!settled) throw await this.interrupted(this.#unsettled(lagging.map(({slot}) => slot)))
    const apart = this.#shards.apart(settled)
    if (apart.length > 1) throw await this.interrupted(this.#fellApart(settled, apart))
  }

  #isAnyAway(topology: Topology, moves: readonly SlotMove[]): boolean {
    const ends = new Set(moves.flatMap(({from, to}) => [from, to]))
    const members = [...ends].flatMap((id) => [...this.#shards.membersOf(id)])
    return members.some((id) => topology.nodesById.get(id)?.reach.kind === 'unreachable')
  }

  /** @returns how many marks of slots that have moved were there. */
  async #closeMarks({openSlots, staleMarks, owners}: Topology): Promise<number> {
    const marked = openSlots.filter(({slot}) => this.#ledger.done.has(slot))
    for (const {slot, migrating} of marked) {
      const owner = owners[slot]
      for (const {node} of migrating) {
        if (owner && node !== owner) await this.#trying(() => this.#session.node(node).assignSlot(slot, owner))
      }
    }
    const stale = staleMarks.filter(({slot}) => this.#ledger.done.has(slot))
    for (const {slot, primary} of stale) await this.#trying(() => this.#session.node(primary).setStable(slot))
    return marked.length + stale.length
  }

  /** Whatever comes of it is seen by the next look. */
  async #trying(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error
    }
  }

  #fellApart(topology: Topology, [heir, ...others]: readonly ClusterNode[]): InterruptedError {
    const names = [heir, ...others].flatMap((node) =>
      node ? [`${labelId(topology, node.id)} (slots: ${countSlots(node.ranges)})`] : [],
    )
    const seed = formatAddress(this.#session.seed)
    return new InterruptedError(`a failover meanwhile took a shard apart: ${names.join(' and ')} each own slots`, {
      suggestions: others.map(
        ({id, ranges}) => `rcluster reshard ${seed} --from ${id} --to ${heir?.id} --slots-list ${formatRanges(ranges)}`,
      ),
    })
  }

  #unsettled(slots: readonly number[]): InterruptedError {
    const {topology, seed} = this.#session
    const suggestions = [`rcluster check ${formatAddress(seed)}`]
    const isAgreed = topology.disagreements.length === 0
    const marked = topology.openSlots.map(({slot}) => slot).filter((slot) => this.#ledger.done.has(slot))
    const text =
      isAgreed && slots.length > 0
        ? `somebody else has moved slots on: ${formatSlots(slots)}`
        : isAgreed && marked.length > 0
          ? `the slots have moved, but somebody has marked slots ${formatSlots(marked)} as open`
          : 'the slots have moved, but not all nodes agree yet'
    return new InterruptedError(text, {suggestions})
  }

  /** After a second signal, when nobody is asked any more. */
  cutOff(cause: unknown): InterruptedError {
    const left = this.#ledger.left()
    const unsure = left.map(({slot}) => slot).filter((slot) => this.#ledger.opened.has(slot))
    return this.#failed(cause, left, {
      openSlots: unsure,
      text: unsure.length > 0 ? `; maybe open: ${formatSlots(unsure)}` : '',
    })
  }

  /** What is true now, by another look: which slots have moved after all, which are open, and where that cannot be told. */
  async interrupted(cause: unknown): Promise<InterruptedError> {
    let topology: Topology
    try {
      topology = await this.#session.observe()
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error
      return this.cutOff(cause)
    }
    const open = new Set(topology.openSlots.map(({slot}) => slot))
    // Of a shard that a failover took apart: they came to the member that does not lead it.
    const strayed = new Map<number, NodeId>()
    const apart = new Set(this.#shards.apart(topology).map(({id}) => id))
    for (const {slot, to} of this.#ledger.left()) {
      const owner = topology.owners[slot] ?? ''
      if (!this.#shards.membersOf(to).has(owner)) continue
      if (apart.has(owner) && owner !== this.#shards.heirOf(topology, to)) strayed.set(slot, owner)
      else if (!open.has(slot)) this.#ledger.done.add(slot)
    }
    const left = this.#ledger.left().map(({slot, from, to}) => ({
      slot,
      from: strayed.get(slot) ?? this.#shards.heirOf(topology, from),
      to: this.#shards.heirOf(topology, to),
    }))
    const openSlots = left.map(({slot}) => slot).filter((slot) => open.has(slot))
    const isSilent = (id: NodeId): boolean => topology.nodesById.get(id)?.reach.kind !== 'reached'
    const hidden = left.filter(
      ({slot, from, to}) => this.#ledger.opened.has(slot) && !open.has(slot) && (isSilent(from) || isSilent(to)),
    )
    const silent = [...new Set(hidden.flatMap(({from, to}) => [from, to]).filter(isSilent))]
    const names = silent.map((id) => labelId(topology, id)).join(', ')
    const maybe = `; maybe open: ${formatSlots(hidden.map(({slot}) => slot))} (${names} cannot be asked)`
    const text = `${openSlots.length > 0 ? `; open: ${formatSlots(openSlots)}` : ''}${hidden.length > 0 ? maybe : ''}`
    return this.#failed(cause, left, {openSlots, text})
  }

  #failed(
    cause: unknown,
    left: readonly SlotMove[],
    {openSlots, text}: {readonly openSlots: readonly number[]; readonly text: string},
  ): InterruptedError {
    const because = cause instanceof Error ? cause.message : String(cause)
    const details = cause instanceof ClusterError ? cause.details : {}
    const advice = cause instanceof NodeError ? adviceAfter(cause) : []
    const suggestions = cause instanceof ClusterError ? [...cause.suggestions, ...advice] : []
    return new InterruptedError(
      `${this.#ledger.done.size} of ${this.#ledger.moves.length} slots moved, then: ${because}${text}`,
      {
        details: {...details, slotsMoved: this.#ledger.done.size, keysMoved: this.#ledger.keysMoved, left, openSlots},
        suggestions,
        cause,
      },
    )
  }
}
