/**
 * Do two servers hold the same under a key? Their serialised forms are compared first, then, where those differ, what the
 * key holds, page by page. Reads only.
 */
import type {SerialisedKey} from './cluster-port.ts'
import {haveSameBody, haveSameLife} from './same-dump.ts'
import type {ContentPage, SourcePort} from './source-port.ts'

/** unknown: the serialised forms differ, and the type is one whose content cannot be read. */
export type Likeness = 'same' | 'value' | 'life' | 'missing' | 'unknown'

export interface KeyAt {
  readonly port: SourcePort
  readonly database: number
}

/**
 * What differs at `there`, of a key as it was dumped here and there (undefined: it is not there). `shiftMs` is how far
 * the clock there is ahead.
 */
export async function compareDumps(
  here: KeyAt,
  there: KeyAt,
  mine: SerialisedKey,
  theirs: SerialisedKey | undefined,
  shiftMs: number,
): Promise<Likeness> {
  if (!theirs) return 'missing'
  const endMs = mine.expiresAtMs === undefined ? undefined : mine.expiresAtMs + shiftMs
  const isSameLife = haveSameLife(endMs, theirs.expiresAtMs)
  if (haveSameBody(mine.payload, theirs.payload)) return isSameLife ? 'same' : 'life'
  const content = await compareContent(here, there, mine.key)
  return content === 'same' && !isSameLife ? 'life' : content
}

/** Page by page: what fits in memory is a page, not a key. */
async function compareContent(here: KeyAt, there: KeyAt, key: Buffer): Promise<'same' | 'value' | 'unknown'> {
  const [mine, theirs] = await Promise.all([here, there].map(({port, database}) => port.readShape(key, database)))
  if (!mine || !theirs || mine.type !== theirs.type || mine.size !== theirs.size) return 'value'
  const {type} = mine
  const hasOrder = type === 'string' || type === 'list' || type === 'stream'
  let cursor: string | undefined = ''
  while (cursor !== undefined) {
    const page: ContentPage | undefined = await here.port.readContent(key, here.database, type, cursor)
    if (!page) return 'unknown'
    const isSame = hasOrder
      ? areSamePages(page, await there.port.readContent(key, there.database, type, cursor))
      : await holdsAll(there, key, type, page)
    if (!isSame) return 'value'
    cursor = page.next
  }
  return 'same'
}

function areSamePages(a: ContentPage, b: ContentPage | undefined): boolean {
  if (!b || a.next !== b.next || a.items.length !== b.items.length) return false
  return a.items.every((item, index) => areSameItems(item, b.items[index] ?? []))
}

function areSameItems(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.length === b.length && a.every((part, index) => part.equals(b[index] as Buffer))
}

/** The sizes are equal: whoever has all of the other's has nothing else. */
async function holdsAll({port, database}: KeyAt, key: Buffer, type: string, {items}: ContentPage): Promise<boolean> {
  if (items.length === 0) return true
  const values = await port.lookUp(
    key,
    database,
    type,
    items.map(([name]) => name as Buffer),
  )
  return items.every(([name, value = name], index) => {
    const theirs = values[index]
    if (!theirs || !value) return false
    // Versions write the same score in different ways: 0.1, 0.10000000000000001.
    return theirs.equals(value) || (type === 'zset' && Number(theirs.toString()) === Number(value.toString()))
  })
}
