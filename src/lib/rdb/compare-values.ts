/**
 * Do two payloads hold the same value? Servers write one value in several ways: large sets, hashes and sorted sets in an
 * order of their own, small ones packed or not as settings and versions have it, strings compressed or not. So where the
 * bytes differ it is looked at piece by piece.
 */
import {Cursor, Shortage} from './cursor.ts'
import {intsetElements, listpackElements} from './packed.ts'
import {payloadBody, payloadVersion} from './payload.ts'
import {RdbError} from './rdb-error.ts'
import {type RdbFamily, skipValue} from './value-layout.ts'

/** unknown: they are laid out in ways that cannot be compared here; only a server could. */
export type Likeness = 'same' | 'different' | 'unknown'

/** Layouts of one kind of value hold the same when their pieces are the same. */
interface Shape {
  readonly kind: string
  /** Its elements come in no order, and have so many pieces each. */
  readonly piecesEach?: number
  readonly unpack?: (bytes: Buffer) => Buffer[] | undefined
}

const SHAPES: ReadonlyMap<number, Shape> = new Map<number, Shape>([
  [0, {kind: 'string'}],
  [1, {kind: 'list'}],
  [2, {kind: 'set', piecesEach: 1}],
  [11, {kind: 'set', piecesEach: 1, unpack: intsetElements}],
  [20, {kind: 'set', piecesEach: 1, unpack: listpackElements}],
  [4, {kind: 'hash', piecesEach: 2}],
  [16, {kind: 'hash', piecesEach: 2, unpack: listpackElements}],
  [5, {kind: 'sorted set', piecesEach: 2}],
  [17, {kind: 'sorted set', piecesEach: 2, unpack: scoredElements}],
  ...[15, 19, 21, 26].map((type) => [type, {kind: 'stream'}] as const),
])
/** Hashes with a life per field: what has no counterpart in the other family. */
const WITH_LIVES: Readonly<Record<RdbFamily, ReadonlyMap<number, Shape>>> = {
  redis: new Map([[24, {kind: 'hash with lives', piecesEach: 3}]]),
  valkey: new Map([[22, {kind: 'hash with lives', piecesEach: 3}]]),
}
/** Of these kinds the pieces are all of the value, and none changes by itself. */
const SETTLED: ReadonlySet<string> = new Set(['string', 'list', 'set', 'hash', 'sorted set'])

export function compareValues(a: Buffer, b: Buffer): Likeness {
  const [bodyA, bodyB] = [payloadBody(a), payloadBody(b)]
  if (bodyA.equals(bodyB)) return 'same'
  const [familyA, familyB] = [familyOf(a), familyOf(b)]
  const [typeA, typeB] = [bodyA[0], bodyB[0]]
  if (typeA === undefined || typeB === undefined) return 'unknown'
  const [shapeA, shapeB] = [shapeOf(typeA, familyA), shapeOf(typeB, familyB)]
  const isOneLayout = typeA === typeB && (typeA <= 21 || familyA === familyB)
  if (
    !isOneLayout &&
    (shapeA === undefined || shapeA.kind !== shapeB?.kind || familyDiffers(shapeA, familyA, familyB))
  ) {
    return 'unknown'
  }
  const piecesA = piecesOf(bodyA, familyA, shapeA, !isOneLayout)
  const piecesB = piecesOf(bodyB, familyB, shapeB, !isOneLayout)
  if (!piecesA || !piecesB) return 'unknown'
  if (haveSamePieces(piecesA, piecesB)) return 'same'
  return shapeA && SETTLED.has(shapeA.kind) ? 'different' : 'unknown'
}

function familyOf(payload: Buffer): RdbFamily {
  return (payloadVersion(payload) ?? 0) >= 80 ? 'valkey' : 'redis'
}

function shapeOf(type: number, family: RdbFamily): Shape | undefined {
  return SHAPES.get(type) ?? WITH_LIVES[family].get(type)
}

function familyDiffers({kind}: Shape, a: RdbFamily, b: RdbFamily): boolean {
  return kind === 'hash with lives' && a !== b
}

/**
 * Everything that the value is made of, in an order that does not depend on the server; undefined when it cannot be read.
 * `isCommonOnly`: without what only later layouts of its kind have.
 */
function piecesOf(
  body: Buffer,
  family: RdbFamily,
  shape: Shape | undefined,
  isCommonOnly: boolean,
): Buffer[] | undefined {
  const recorder = new Recorder(body, isCommonOnly)
  const type = recorder.byte()
  try {
    skipValue(recorder, type, family)
  } catch (error) {
    if (error instanceof RdbError || error instanceof Shortage) return undefined
    throw error
  }
  const {pieces} = recorder
  const each = shape?.piecesEach
  if (each === undefined) return pieces
  const elements = shape?.unpack ? shape.unpack(pieces[0] ?? Buffer.alloc(0)) : pieces
  if (!elements) return undefined
  // Before its fields a hash with lives of Redis has the first end of them.
  const head = elements.length % each
  const groups: {name: Buffer; group: Buffer[]}[] = []
  for (let at = head; at < elements.length; at += each) {
    const group = elements.slice(at, at + each)
    groups.push({name: Buffer.concat(group), group})
  }
  groups.sort((one, other) => Buffer.compare(one.name, other.name))
  return [...elements.slice(0, head), ...groups.flatMap(({group}) => group)]
}

/** Scores as the eight bytes that the other layout has. */
function scoredElements(bytes: Buffer): Buffer[] | undefined {
  return listpackElements(bytes)?.map((element, index) => {
    if (index % 2 === 0) return element
    const score = Buffer.alloc(8)
    score.writeDoubleLE(numberOf(element.toString('latin1')))
    return score
  })
}

function numberOf(text: string): number {
  if (/^[+-]?inf/i.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  return Number(text)
}

function haveSamePieces(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.length === b.length && a.every((piece, index) => piece.equals(b[index] as Buffer))
}

/** Keeps what it passes over, strings decoded. */
class Recorder extends Cursor {
  readonly pieces: Buffer[] = []
  readonly #isCommonOnly: boolean

  constructor(body: Buffer, isCommonOnly: boolean) {
    super()
    this.window = body
    this.total = body.length
    this.#isCommonOnly = isCommonOnly
  }

  override skip(count: number): void {
    const start = this.at
    super.skip(count)
    this.pieces.push(this.window.subarray(start, this.at))
  }

  override skipString(): void {
    const text = this.#withoutPieces(() => this.string())
    this.pieces.push(text)
  }

  override skipInteger(): void {
    const start = this.at
    this.#withoutPieces(() => super.skipInteger())
    this.pieces.push(this.window.subarray(start, this.at))
  }

  override length(): number {
    return this.#withoutPieces(() => super.length())
  }

  override skipLater(part: () => void): void {
    if (this.#isCommonOnly) this.#withoutPieces(part)
    else part()
  }

  /** What lengths and strings pass over on their way is no piece of the value. */
  #withoutPieces<T>(read: () => T): T {
    const before = this.pieces.length
    const result = read()
    this.pieces.length = before
    return result
  }
}
