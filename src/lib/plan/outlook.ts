/** What is to be expected of a plan of moves, what is it not going to do, and why does each slot go where it goes? Pure. */
import type {BigKeySurvey, MoveEstimate, MoveOutlook, MovePlan, PlannedLoad, PrimaryChange} from './plan.ts'

/** A client that waits this long notices. */
const NOTICED_MS = 500

/**
 * @param lossReason set: keys may go, for this reason.
 * @param started slots of moves that an earlier run had begun.
 */
export function outlookOf(
  plan: MovePlan,
  facts: {
    readonly estimate: MoveEstimate | undefined
    readonly lossReason: string | undefined
    readonly started: ReadonlySet<number>
  },
): MoveOutlook {
  return {
    estimate: facts.estimate,
    risk: riskOf(plan.bigKeys, facts.lossReason),
    notDone: notDone(plan),
    reasons: reasonsOf(plan, facts.started),
  }
}

function riskOf(bigKeys: BigKeySurvey | undefined, lossReason: string | undefined): MoveOutlook['risk'] {
  if (lossReason !== undefined) return {class: 'data-loss', why: lossReason}
  const stallMs = bigKeys?.keys[0]?.stallMs ?? 0
  if (stallMs >= NOTICED_MS) {
    return {class: 'disruptive', why: 'a node answers nobody while one of its big keys moves'}
  }
  return {class: 'safe', why: 'every key can be read and written on the way; clients are redirected'}
}

function notDone({kind, primaries}: MovePlan): string[] {
  // Whoever is evacuated leaves afterwards.
  if (kind === 'evacuate') return []
  const emptied = primaries.filter(({slotsBefore, slotsAfter}) => slotsBefore > 0 && slotsAfter === 0)
  const unused = primaries.filter(({slotsBefore, slotsAfter}) => slotsBefore === 0 && slotsAfter === 0)
  const sentences: string[] = []
  if (emptied.length > 0) {
    const [stay, them] = emptied.length === 1 ? ['stays a member', 'it'] : ['stay members', 'them']
    sentences.push(`${names(emptied)} ${stay} without slots: del-node removes ${them}.`)
  }
  if (kind === 'rebalance' && unused.length > 0) {
    const [get, them] = unused.length === 1 ? ['gets', 'it'] : ['get', 'them']
    sentences.push(`${names(unused)} ${get} no slots: --use-empty or a weight gives ${them} some.`)
  }
  return sentences
}

function reasonsOf(plan: MovePlan, started: ReadonlySet<number>): MoveOutlook['reasons'] {
  const {kind, moves, primaries, load} = plan
  const changes = new Map(primaries.map((change) => [change.id, change]))
  const pairs = new Map<string, {from: string; to: string; slots: number; begun: number}>()
  for (const {slot, from, to} of moves) {
    const key = `${from} ${to}`
    const pair = pairs.get(key) ?? {from, to, slots: 0, begun: 0}
    pair.slots++
    if (started.has(slot)) pair.begun++
    pairs.set(key, pair)
  }
  return [...pairs.values()].map(({from, to, slots, begun}) => {
    const begunWhy = begun > 0 ? `${begun === slots ? '' : `${begun} of them: `}an earlier run has begun with them` : ''
    const [giver, taker] = [changes.get(from), changes.get(to)]
    const why = load ? whyByLoad(load, giver, taker) : whyOf(kind, giver, taker)
    const freshWhy = begun === slots ? '' : why
    return {from, to, slots, why: [freshWhy, begunWhy].filter((part) => part !== '').join('; ')}
  })
}

function whyOf(kind: MovePlan['kind'], giver: PrimaryChange | undefined, taker: PrimaryChange | undefined): string {
  if (kind === 'reshard') return 'asked for'
  const takes = taker ? `${taker.address} has ${taker.slotsBefore}, its share is ${taker.slotsAfter}` : ''
  if (kind === 'evacuate') return ['its source is to leave', takes].filter((part) => part !== '').join('; ')
  const gives = giver ? `${giver.address} has ${giver.slotsBefore}, its share is ${giver.slotsAfter}` : ''
  return [gives, takes].filter((part) => part !== '').join('; ')
}

function whyByLoad(load: PlannedLoad, giver: PrimaryChange | undefined, taker: PrimaryChange | undefined): string {
  const partOf = (change: PrimaryChange | undefined): number | undefined => {
    const own = load.primaries.find(({id}) => id === change?.id)
    return own && own.share > 0 ? Math.round((100 * own.before) / own.share) : undefined
  }
  const [gives, takes] = [partOf(giver), partOf(taker)]
  if (gives !== undefined && gives <= 100 && load.ranges.after < load.ranges.before) {
    return 'slots that lie together are easier to survey'
  }
  const told = (change: PrimaryChange | undefined, percent: number | undefined): string =>
    percent === undefined
      ? `${change?.address} is to bear nothing`
      : `${change?.address} bears ${percent} % of its share`
  return `${told(giver, gives)}, ${told(taker, takes)}`
}

const NAMED = 3

function names(changes: readonly PrimaryChange[]): string {
  const named = changes.slice(0, NAMED).map(({address}) => address)
  const more = changes.length - named.length
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(named.length === 2 ? ' and ' : ', ')
}
