import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {seedFromWords} from '../lib/cli/cluster-command.ts'
import {list, positiveInteger} from '../lib/cli/flags.ts'
import {MoveCommand, type MoveReport} from '../lib/cli/move-command.ts'
import {moveFlags, skipBigFlags} from '../lib/cli/move-flags.ts'
import {parseNodeReference} from '../lib/cli/node-argument.ts'
import {parsePositiveInteger} from '../lib/cli/numbers.ts'
import {UsageError} from '../lib/errors.ts'
import type {SlotMove} from '../lib/plan/plan.ts'
import {planReshard} from '../lib/plan/reshard.ts'
import {planReshardLike} from '../lib/plan/reshard-like.ts'
import {plural} from '../lib/render/amounts.ts'
import {SLOT_COUNT} from '../lib/slots/slot.ts'
import {formatRanges, parseRanges, type SlotRanges, slotsInRanges} from '../lib/slots/slot-ranges.ts'
import {readSnapshotFile} from '../lib/state/snapshot-file.ts'
import type {NodeId, Topology} from '../lib/topology/model.ts'

/** What was asked for, before any node was looked up. */
interface Wish {
  readonly seeds: string | readonly string[] | undefined
  readonly from: readonly string[]
  readonly to: string
  readonly amount: {readonly count: number} | {readonly slots: SlotRanges}
}

export default class Reshard extends MoveCommand<typeof Reshard> {
  static override summary = 'Move slots and their keys from some primaries to another.'

  static override description = [
    'Exactly N slots asked are N slots moved, from each source in proportion to what it has. Ctrl-C finishes the slots in flight; once more stops at once. The same command, run again, goes on where a run was cut off.',
    '--like FILE goes back to the slots of a snapshot: nodes are the same by their IDs, and a replica that has taken over stands in for its primary. Owners that are gone are named, and nothing is moved without --where-possible.',
    'Exit codes: 0 done, or nothing to do; 2 the words make no sense; 3 the cluster is not fit for moves; 4 a node did not answer, or said no; 5 part of the slots moved; 130 stopped.',
  ].join('\n\n')
  static override usage = [
    'reshard FROM TO COUNT',
    'reshard [SEED] --from NODE,...|all --to NODE --slots N',
    'reshard [SEED] --from NODE,...|all --to NODE --slots-list RANGES',
    'reshard [SEED] --like FILE',
  ]

  static override examples = [
    '<%= config.bin %> reshard 127.0.0.1:7000 127.0.0.1:7003 1000',
    '<%= config.bin %> reshard 10.0.0.1 --from all --to 10.0.0.4 --slots 4096 --yes',
    '<%= config.bin %> reshard 10.0.0.1 --from all --to 07c37dfe --slots-list 0-99,4000',
    '<%= config.bin %> reshard 10.0.0.1 --like before.json --dry-run',
  ]

  static override args = {
    words: word({description: 'FROM TO COUNT, or any node of the cluster', multiple: true}),
  }

  static override flags = {
    ...moveFlags,
    ...skipBigFlags,
    from: list({summary: 'Primaries to take slots from, or "all".', helpValue: 'NODE', aliases: ['cluster-from']}),
    to: Flags.string({summary: 'The primary that takes them.', helpValue: 'NODE', aliases: ['cluster-to']}),
    slots: positiveInteger({
      summary: 'How many slots to move.',
      max: SLOT_COUNT,
      aliases: ['cluster-slots'],
      exclusive: ['slots-list'],
    }),
    'slots-list': Flags.string({
      summary: 'Which slots to move; those that are there already are passed over.',
      helpValue: '0-99,4000',
    }),
    like: Flags.string({
      summary: 'Move slots back to who owned them when this file was written by "snapshot".',
      helpValue: 'FILE',
      exclusive: ['from', 'to', 'slots', 'slots-list'],
    }),
    'where-possible': Flags.boolean({
      summary: 'With --like: slots whose owner of then is gone stay where they are.',
      default: false,
    }),
  }

  async run(): Promise<MoveReport> {
    if (this.flags.like !== undefined) return this.#goBack(this.flags.like)
    const wish = this.#wish()
    const session = await this.openCluster(wish.seeds)
    const to = (await this.findNode(session, wish.to)).id
    const isAll = wish.from.includes('all')
    const from: NodeId[] = []
    if (!isAll) for (const word of wish.from) from.push((await this.findNode(session, word)).id)
    const sources = isAll ? 'all' : from
    const amountText = 'count' in wish.amount ? wish.amount.count : formatRanges(wish.amount.slots)
    const intent = JSON.stringify(['reshard', isAll ? 'all' : [...from].sort(), to, amountText])
    const {plan, records} = await this.planMoves(
      session,
      'reshard',
      intent,
      (topology, started) => planReshard(topology, {from: sources, to, ...wish.amount}, started),
      (topology) => ('slots' in wish.amount ? namedOpenMoves(topology, sources, to, wish.amount.slots) : []),
    )
    return this.carryOut(session, plan, intent, records, {
      nothingToDo: 'Nothing to do: the slots are at the target already.',
      question: ({moves}) => `Move ${plural(moves.length, 'slot')}?`,
    })
  }

  /** To the slots of a snapshot. */
  async #goBack(file: string): Promise<MoveReport> {
    const seed = seedFromWords(this.args.words)
    const {cluster, takenAt} = await readSnapshotFile(file)
    const session = await this.openCluster(seed)
    const isWherePossible = this.flags['where-possible']
    const intent = JSON.stringify(['reshard', 'like', cluster.fingerprint, isWherePossible])
    const {plan, records} = await this.planMoves(session, 'reshard', intent, (topology, started) =>
      planReshardLike(topology, cluster, {isWherePossible}, started),
    )
    return this.carryOut(session, plan, intent, records, {
      nothingToDo: [`Nothing to do: all slots that can be are where they were at ${takenAt}.`, ...plan.warnings].join(
        '\n',
      ),
      question: ({moves}) => `Move ${plural(moves.length, 'slot')} back to where they were at ${takenAt}?`,
    })
  }

  /** @throws UsageError when the words do not make one of the forms. */
  #wish(): Wish {
    if (this.flags['where-possible']) throw new UsageError('--where-possible is about --like FILE')
    const words = this.args.words ?? []
    const {from, to, slots, 'slots-list': slotsList} = this.flags
    if (words.length === 3) {
      const [source, target, count] = words as [string, string, string]
      if (from || to || slots !== undefined || slotsList !== undefined) {
        throw new UsageError('FROM TO COUNT already says what --from, --to, --slots and --slots-list would say')
      }
      const addresses = [source, target].filter((word) => parseNodeReference(word).kind === 'address')
      const seeds = this.isNamedByFlag || addresses.length === 0 ? undefined : addresses
      return {seeds, from: [source], to: target, amount: {count: parsePositiveInteger(count, 'COUNT', SLOT_COUNT)}}
    }
    const hasFlags = [from, to, slots, slotsList].some((flag) => flag !== undefined)
    const [source, target] = words
    if (words.length === 2 && !hasFlags && !/^\d{1,5}$/.test(target ?? '')) {
      throw new UsageError(`how many slots are to move from ${source} to ${target} is not said`, {
        suggestions: [`rcluster reshard ${source} ${target} COUNT`],
      })
    }
    const seeds = seedFromWords(words)
    const missing = [from ? '' : '--from', to ? '' : '--to', (slots ?? slotsList) ? '' : '--slots or --slots-list']
    const lacking = missing.filter((flag) => flag !== '')
    if (lacking.length > 0 || !from || !to) {
      throw new UsageError(`reshard needs ${lacking.join(', ')}`, {
        suggestions: ['rcluster reshard FROM TO COUNT', 'rcluster reshard SEED --from NODE --to NODE --slots N'],
      })
    }
    return {seeds, from, to, amount: slots === undefined ? {slots: parseSlots(slotsList ?? '')} : {count: slots}}
  }
}

function parseSlots(text: string): SlotRanges {
  try {
    const ranges = parseRanges(text)
    if (ranges.length > 0) return ranges
  } catch (error) {
    throw new UsageError(`--slots-list: ${(error as Error).message}`, {
      suggestions: ['For example: --slots-list 0-99,4000'],
    })
  }
  throw new UsageError('--slots-list names no slot', {suggestions: ['For example: --slots-list 0-99,4000']})
}

/** Open slots that the operator named, on the very way that was named: finishing them is what was asked for. */
function namedOpenMoves(
  topology: Topology,
  from: readonly NodeId[] | 'all',
  to: NodeId,
  slots: SlotRanges,
): SlotMove[] {
  const named = new Set(slotsInRanges(slots))
  return topology.openSlots.flatMap(({slot, migrating, importing}) => {
    const [source] = [...migrating.map(({node}) => node), ...importing.map(({from: peer}) => peer)]
    if (!named.has(slot) || source === undefined || (from !== 'all' && !from.includes(source))) return []
    const isThisWay =
      migrating.every((mark) => mark.node === source && mark.to === to) &&
      importing.every((mark) => mark.node === to && mark.from === source)
    return isThisWay ? [{slot, from: source, to}] : []
  })
}
