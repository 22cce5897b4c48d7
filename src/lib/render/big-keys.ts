/** Which big keys does a plan move or leave, and what does that cost? Lines of the plan, the longest stall first. */
import type {BigKey, BigKeySurvey} from '../plan/plan.ts'
import {formatBytes, formatCount, formatDuration, plural} from './amounts.ts'
import {clean} from './clean.ts'

/** Keys that are named one by one. */
const NAMED = 10
/** A longer name is cut: what counts is to find the key again. */
const NAME_LENGTH = 60

/** No lines where there is nothing to say. */
export function renderBigKeys(survey: BigKeySurvey | undefined): string[] {
  if (!survey) return []
  return [...renderMoving(survey.keys), ...renderLeft(survey.left), ...renderLimits(survey)]
}

function renderMoving(keys: readonly BigKey[]): string[] {
  if (keys.length === 0) return []
  const [first] = keys as readonly [BigKey]
  const head =
    keys.length === 1
      ? '1 key is big. It moves alone, and source and target stall meanwhile:'
      : `${formatCount(keys.length)} keys are big. Each moves alone, and source and target stall meanwhile, the longest ${stall(first)}:`
  return [head, ...named(keys, (key) => `${describe(key)}: ${stall(key)}`)]
}

function renderLeft(keys: readonly BigKey[]): string[] {
  if (keys.length === 0) return []
  const slots = new Set(keys.map(({slot}) => slot)).size
  return [
    `${plural(slots, 'slot')} ${slots === 1 ? 'stays' : 'stay'}, for the sake of ${plural(keys.length, 'key')}:`,
    ...named(keys, describe),
  ]
}

/** Where all is known there is nothing to add. */
function renderLimits({isComplete, mayHideOthers, keysLookedAt, keysThere}: BigKeySurvey): string[] {
  if (isComplete) return []
  const sampled = `Sampled ${formatCount(keysLookedAt)} of about ${plural(keysThere, 'key')} for their size`
  return [
    mayHideOthers
      ? `${sampled}: big ones may be among the others.`
      : `${sampled}; the memory in use hints at no others.`,
  ]
}

function named(keys: readonly BigKey[], line: (key: BigKey) => string): string[] {
  const more = keys.length - NAMED
  return [
    ...keys.slice(0, NAMED).map((key) => `  ${line(key)}`),
    ...(more > 0 ? [`  and ${formatCount(more)} more`] : []),
  ]
}

/** '"user:1" (slot 866, hash, 23.0 MB in memory)' */
function describe({keyHex, slot, database, type, bytes}: BigKey): string {
  const facts = [
    `slot ${slot}`,
    ...(database === 0 ? [] : [`database ${database}`]),
    ...(type === undefined ? [] : [clean(type)]),
    `${formatBytes(bytes)} in memory`,
  ]
  return `${quote(keyHex)} (${facts.join(', ')})`
}

/** Whoever cannot be asked for its type may be of a quicker one. */
function stall({type, stallMs}: BigKey): string {
  return `${type === undefined ? 'up to' : 'about'} ${formatDuration(stallMs)}`
}

function quote(keyHex: string): string {
  const name = [...clean(Buffer.from(keyHex, 'hex').toString('utf8'))]
  return `"${name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH).join('')}...` : name.join('')}"`
}
