/** How far is it, how fast, and how long still? A pure reduction of what the engine tells, and its one line. */
import type {EngineEvent} from '../engine/events.ts'
import {formatBytes, formatDuration, formatShort} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'

/** Rates are means over about this time, weighted toward now. */
const RATE_MEMORY_MS = 10_000
const SAMPLE_MS = 500

export interface ProgressState {
  readonly phase: string
  readonly startedMs: number
  /** 0 before moves begin. */
  readonly slotsTotal: number
  readonly slotsDone: number
  readonly keysTotal: number | undefined
  readonly keysDone: number
  readonly bytesDone: number
  readonly retries: number
  readonly pauseNowMs: number
  readonly pauseWorstMs: number
  /** Per second; undefined until measured. */
  readonly rate: {readonly slots: number; readonly keys: number; readonly bytes: number} | undefined
  readonly sample: {
    readonly sinceMs: number
    readonly slots: number
    readonly keys: number
    readonly bytes: number
    readonly pauseMs: number
  }
}

export function initialProgress(nowMs: number): ProgressState {
  return {
    phase: '',
    startedMs: nowMs,
    slotsTotal: 0,
    slotsDone: 0,
    keysTotal: undefined,
    keysDone: 0,
    bytesDone: 0,
    retries: 0,
    pauseNowMs: 0,
    pauseWorstMs: 0,
    rate: undefined,
    sample: {sinceMs: nowMs, slots: 0, keys: 0, bytes: 0, pauseMs: 0},
  }
}

export function reduceProgress(state: ProgressState, event: EngineEvent, nowMs: number): ProgressState {
  switch (event.kind) {
    case 'phase':
      return {...state, phase: event.text}
    case 'moves-started':
      return {
        ...initialProgress(nowMs),
        phase: state.phase,
        slotsTotal: event.slots,
        keysTotal: event.keys,
      }
    case 'keys-moved': {
      const sample = {
        ...state.sample,
        keys: state.sample.keys + event.keys,
        bytes: state.sample.bytes + event.bytes,
        pauseMs: Math.max(state.sample.pauseMs, event.pauseMs ?? 0),
      }
      return sampleRate(
        {
          ...state,
          sample,
          keysDone: state.keysDone + event.keys,
          bytesDone: state.bytesDone + event.bytes,
          pauseWorstMs: Math.max(state.pauseWorstMs, event.pauseMs ?? 0),
        },
        nowMs,
      )
    }
    case 'load-started':
      return {...initialProgress(nowMs), phase: state.phase, keysTotal: event.keys}
    case 'keys-loaded': {
      const {keys, bytes} = event
      const sample = {...state.sample, keys: state.sample.keys + keys, bytes: state.sample.bytes + bytes}
      const done = {keysDone: state.keysDone + keys, bytesDone: state.bytesDone + bytes}
      return sampleRate({...state, sample, ...done}, nowMs)
    }
    case 'slots-moved': {
      const count = event.slots.length
      const sample = {...state.sample, slots: state.sample.slots + count}
      return sampleRate({...state, sample, slotsDone: state.slotsDone + count}, nowMs)
    }
    case 'retry':
      return {...state, retries: state.retries + 1}
    case 'note':
      return state
  }
}

/** Also to be called while nothing happens: a rate of which nothing is heard falls. */
export function sampleRate(state: ProgressState, nowMs: number): ProgressState {
  const {sample, rate} = state
  const elapsedMs = nowMs - sample.sinceMs
  if (elapsedMs < SAMPLE_MS) return state
  // At first the mean since the start: one slow beginning would weigh on the rate, and on the time left, for long.
  const weight = Math.max(1 - Math.exp(-elapsedMs / RATE_MEMORY_MS), elapsedMs / Math.max(1, nowMs - state.startedMs))
  const blend = (old: number | undefined, amount: number): number =>
    (old ?? 0) + weight * ((amount * 1000) / elapsedMs - (old ?? 0))
  return {
    ...state,
    rate: {
      slots: blend(rate?.slots, sample.slots),
      keys: blend(rate?.keys, sample.keys),
      bytes: blend(rate?.bytes, sample.bytes),
    },
    pauseNowMs: sample.pauseMs,
    sample: {sinceMs: nowMs, slots: 0, keys: 0, bytes: 0, pauseMs: 0},
  }
}

/**
 * 0 … 1; undefined before moves begin. Slots count, and the keys of slots not yet done where they are known; keys alone
 * where no slots move.
 */
export function progressFraction(state: ProgressState): number | undefined {
  if (state.slotsTotal === 0) return state.keysTotal ? Math.min(1, state.keysDone / state.keysTotal) : undefined
  const bySlots = Math.min(1, state.slotsDone / state.slotsTotal)
  if (bySlots === 1 || !state.keysTotal) return bySlots
  // Keys that clients write meanwhile must not show more than is true.
  return Math.min(0.99, Math.max(bySlots, state.keysDone / state.keysTotal))
}

/** One line of fewer than `style.columns` columns. What matters least is left out first when it is narrow. */
export function renderProgress(state: ProgressState, style: Style): string {
  const width = style.columns - 1
  const fraction = progressFraction(state)
  if (fraction === undefined) {
    const rate = state.rate ? `, ${formatShort(state.rate.keys)} keys/s` : ''
    const done = state.keysDone > 0 ? `: ${formatShort(state.keysDone)} keys${rate}` : ''
    return cut(`${clean(state.phase)}${done}`, width)
  }
  const percent = `${Math.floor(fraction * 100)}%`.padStart(4)
  // In the order shown; the number is how early a part is left out.
  const parts: [string, number][] = []
  if (state.slotsTotal > 0) parts.push([`${state.slotsDone}/${state.slotsTotal} slots`, 9])
  if (state.keysTotal || state.keysDone) {
    const total = state.keysTotal ? `/${formatShort(Math.max(state.keysTotal, state.keysDone))}` : ''
    parts.push([`${formatShort(state.keysDone)}${total} keys`, 5])
  }
  if (state.rate && state.rate.keys >= 0.5) {
    parts.push([`${formatShort(state.rate.keys)} keys/s`, 6], [`${formatBytes(state.rate.bytes)}/s`, 3])
  }
  const etaSeconds = remainingSeconds(state, fraction)
  if (etaSeconds !== undefined) parts.push([`ETA ${formatDuration(etaSeconds * 1000)}`, 7])
  if (state.pauseWorstMs > 0) {
    parts.push([`pause ${Math.ceil(state.pauseNowMs)} ms, worst ${Math.ceil(state.pauseWorstMs)} ms`, 2])
  }
  if (state.retries > 0) parts.push([state.retries === 1 ? '1 retry' : `${state.retries} retries`, 4])
  const lengthOf = (shown: [string, number][]): number => shown.reduce((sum, [text]) => sum + 2 + text.length, 0)
  let shown = parts
  const barMin = 8
  while (shown.length > 1 && percent.length + 1 + barMin + lengthOf(shown) > width) {
    const least = Math.min(...shown.map(([, rank]) => rank))
    shown = shown.filter(([, rank]) => rank !== least)
  }
  const barWidth = Math.min(24, width - percent.length - 1 - lengthOf(shown))
  const rest = [percent, ...shown.map(([text]) => text)].join('  ')
  return barWidth < 4 ? cut(rest.trim(), width) : `${renderBar(fraction, barWidth, style)} ${rest}`
}

/** What a result does not say of the way there; undefined when no key was moved. */
export function renderProgressSummary(state: ProgressState, nowMs: number): string | undefined {
  if (state.keysDone === 0) return undefined
  const seconds = Math.max(0.001, (nowMs - state.startedMs) / 1000)
  const rates = `${formatShort(state.keysDone / seconds)} keys/s, ${formatBytes(state.bytesDone / seconds)}/s on average`
  return state.pauseWorstMs > 0 ? `${rates}; longest pause of a node ${Math.ceil(state.pauseWorstMs)} ms` : rates
}

function remainingSeconds(state: ProgressState, fraction: number): number | undefined {
  if (!state.rate || fraction >= 1) return undefined
  const keysLeft = Math.max(0, (state.keysTotal ?? 0) - state.keysDone)
  if (keysLeft > 0) return state.rate.keys >= 0.5 ? keysLeft / state.rate.keys : undefined
  return state.rate.slots > 0.01 ? (state.slotsTotal - state.slotsDone) / state.rate.slots : undefined
}

function renderBar(fraction: number, width: number, {chalk, isUnicode}: Style): string {
  const full = Math.floor(fraction * width)
  const [on, off] = isUnicode ? ['█', '░'] : ['#', '-']
  return chalk.cyan(on.repeat(full)) + chalk.dim(off.repeat(width - full))
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : text.slice(0, Math.max(0, width))
}
