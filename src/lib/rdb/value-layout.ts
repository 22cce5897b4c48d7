/**
 * Where does a value end, and of what is it made? Every layout that Redis up to 8.6 and Valkey up to 9.1 write or still
 * read (rdb.h, rdb.c: rdbSaveObject). The two families count alike up to type 21; from 22 on the same number means
 * something else in each. A type that is not listed is an error, since its end cannot be known.
 */
import type {Cursor} from './cursor.ts'

/** Whose numbers hold: the magic bytes of a file say it. */
export type RdbFamily = 'redis' | 'valkey'

type Layout = (cursor: Cursor) => void

const string: Layout = (cursor) => cursor.skipString()

const bytes =
  (count: number): Layout =>
  (cursor) =>
    cursor.skip(count)

const inTurn =
  (...parts: readonly Layout[]): Layout =>
  (cursor) => {
    for (const part of parts) part(cursor)
  }

/** A count, and so many times `item`. */
const many =
  (item: Layout): Layout =>
  (cursor) => {
    for (let left = cursor.length(); left > 0; left--) item(cursor)
  }

const integer: Layout = (cursor) => cursor.skipInteger()
const integers = (count: number): Layout => inTurn(...Array.from({length: count}, () => integer))

/** Its length in a byte, then its digits; the three highest lengths mean nan, inf and -inf. */
const asciiDouble: Layout = (cursor) => {
  const length = cursor.byte()
  if (length < 253) cursor.skip(length)
}

/** 1: one plain element, 2: a listpack. */
const quicklistNode: Layout = (cursor) => {
  const start = cursor.offset
  const container = cursor.length()
  if (container !== 1 && container !== 2) cursor.fail(`list node of the unknown kind ${container}`, start)
  cursor.skipString()
}

/** What modules write: numbers that say what follows, up to a 0. */
export function skipModuleData(cursor: Cursor): void {
  for (;;) {
    const start = cursor.offset
    const opcode = cursor.length()
    if (opcode === 0) return
    if (opcode === 1 || opcode === 2) cursor.skipInteger()
    else if (opcode === 3) cursor.skip(4)
    else if (opcode === 4) cursor.skip(8)
    else if (opcode === 5) cursor.skipString()
    else cursor.fail(`module opcode ${opcode} is unknown`, start)
  }
}

/** `version` 1 to 4 are types 15, 19, 21 and 26. */
function stream(version: number): Layout {
  const since = (first: number, part: Layout): Layout[] =>
    version >= first ? [(cursor) => cursor.skipLater(() => part(cursor))] : []
  const pending = many(inTurn(bytes(24), integer))
  const consumer = inTurn(string, bytes(8), ...since(3, bytes(8)), many(bytes(16)))
  const group = inTurn(string, integers(2), ...since(2, integer), pending, many(consumer))
  const producer = inTurn(string, many(inTurn(string, integers(2))))
  return inTurn(
    many(inTurn(string, string)),
    integers(3),
    // First ID, highest deleted ID, entries added.
    ...since(2, integers(5)),
    many(group),
    // Idempotent producers: their limits, what is remembered of each, two counters.
    ...since(4, inTurn(integers(2), many(producer), integers(2))),
  )
}

const COMMON: ReadonlyMap<number, Layout> = new Map<number, Layout>([
  [0, string],
  [1, many(string)],
  [2, many(string)],
  [3, many(inTurn(string, asciiDouble))],
  [4, many(inTurn(string, string))],
  [5, many(inTurn(string, bytes(8)))],
  [7, inTurn(integer, skipModuleData)],
  // A zipmap, ziplists, an intset, all as one string.
  ...[9, 10, 11, 12, 13].map((type) => [type, string] as const),
  [14, many(string)],
  [15, stream(1)],
  // Hash and sorted set as listpacks.
  [16, string],
  [17, string],
  [18, many(quicklistNode)],
  [19, stream(2)],
  // Set as a listpack.
  [20, string],
  [21, stream(3)],
])

/** Hashes with a life per field: as of 7.4's release candidates (22, 23), and with the first end in front (24, 25). */
const REDIS: ReadonlyMap<number, Layout> = new Map<number, Layout>([
  [22, many(inTurn(integer, string, string))],
  [23, string],
  [24, inTurn(bytes(8), many(inTurn(integer, string, string)))],
  [25, inTurn(bytes(8), string)],
  [26, stream(4)],
])

/** The hash with a life per field. */
const VALKEY: ReadonlyMap<number, Layout> = new Map<number, Layout>([[22, many(inTurn(string, string, bytes(8)))]])

/** @throws RdbError for a type without a known end. */
export function skipValue(cursor: Cursor, type: number, family: RdbFamily): void {
  const layout = COMMON.get(type) ?? (family === 'redis' ? REDIS : VALKEY).get(type)
  if (layout) {
    layout(cursor)
    return
  }
  const name = family === 'redis' ? 'Redis' : 'Valkey'
  const what = type === 6 ? 'a module value as of before Redis 4.0, whose end cannot be known' : 'unknown'
  cursor.fail(`type ${type} of ${name} is ${what}`)
}

/** A hash whose fields have lives of their own: it ends with the last of them. */
export function hasFieldLives(type: number): boolean {
  return type >= 22 && type <= 25
}

export function isValueType(type: number, family: RdbFamily): boolean {
  return type === 6 || COMMON.has(type) || (family === 'redis' ? REDIS : VALKEY).has(type)
}
