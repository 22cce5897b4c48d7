/** How are numbers, times, sizes and versions on the command line read? `name` is what errors call the value: "--slots", "COUNT". */
import {UsageError} from '../errors.ts'

/** setTimeout takes no more; about 24 days. */
const LONGEST_MS = 2 ** 31 - 1

/** @throws UsageError for anything but 1, 2, 3 … */
export function parsePositiveInteger(text: string, name: string, max: number = Number.MAX_SAFE_INTEGER): number {
  return parseInteger(text, name, 1, max)
}

/** @throws UsageError for anything but whole numbers from `min` to `max`, both inclusive. */
export function parseInteger(
  text: string,
  name: string,
  min: number = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  const upTo = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `from ${min} to ${max}`
  throw new UsageError(`${name} must be a whole number, ${upTo}, not "${text}"`)
}

/** "12.5"; @throws UsageError outside `min` … `max`, both inclusive. */
export function parseDecimal(text: string, name: string, min: number = 0, max: number = Number.MAX_VALUE): number {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  const upTo = max === Number.MAX_VALUE ? `${min} or more` : `from ${min} to ${max}`
  throw new UsageError(`${name} must be a number, ${upTo}, not "${text}"`)
}

const UNIT_MS: Readonly<Record<string, number>> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000}

/**
 * "500ms", "30s", "1.5m", "2h", or seconds without a unit, to whole milliseconds.
 * @throws UsageError for anything else, for nothing at all, and for more than 24 days.
 */
export function parseDurationMs(text: string, name: string): number {
  const match = /^(\d+\.?\d*|\.\d+)\s*(ms|s|m|h)?$/i.exec(text.trim())
  const ms = match ? Math.round(Number(match[1]) * UNIT_MS[(match[2] ?? 's').toLowerCase()]!) : Number.NaN
  if (ms >= 1 && ms <= LONGEST_MS) return ms
  throw new UsageError(`${name} must be a time such as 30, 30s, 5m or 500ms, not "${text}"`)
}

const UNIT_BYTES: Readonly<Record<string, number>> = {b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30}

/**
 * "10mb", "512k", "1.5gb", or bytes without a unit, to whole bytes; 1 kb is 1024 bytes, as in the servers' settings.
 * @throws UsageError for anything else, for nothing at all, and for zero.
 */
export function parseSizeBytes(text: string, name: string): number {
  const match = /^(\d+\.?\d*|\.\d+)\s*([kmg])?(i?b)?$/i.exec(text.trim())
  const bytes = match
    ? Math.round(Number(match[1]) * (UNIT_BYTES[(match[2] ?? 'b').toLowerCase()] as number))
    : Number.NaN
  if (bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER) return bytes
  throw new UsageError(`${name} must be a size such as 512kb, 10mb or 1gb, not "${text}"`)
}

/** "2026-11-29T23:40:00Z"; @throws UsageError for anything else. */
export function parseMoment(text: string, name: string): Date {
  const isMoment = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)
  const moment = new Date(isMoment ? text : Number.NaN)
  if (!Number.isNaN(moment.getTime())) return moment
  throw new UsageError(`${name} must be a moment such as 2026-11-29T23:40:00Z, not "${text}"`)
}

/** "8", "8.6" or "8.6.3"; @throws UsageError for anything else. */
export function parseVersion(text: string, name: string): string {
  if (/^\d{1,5}(\.\d{1,5}){0,3}$/.test(text)) return text
  throw new UsageError(`${name} must be a version such as 8.6 or 9.1.0, not "${text}"`)
}
