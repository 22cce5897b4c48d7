/**
 * Do two payloads hold the same value? Servers write one value in several ways: large sets, hashes and sorted sets in an
 * order of their own, strings compressed or not. So it is looked at piece by piece where the bytes differ.
 */
import {Cursor, Shortage} from './cursor.ts'
import {payloadBody, payloadVersion} from './payload.ts'
import {RdbError} from './rdb-error.ts'
import {type RdbFamily, skipValue} from './value-layout.ts'

/** unknown: they are laid out in different ways (as by another version or setting), which only a server can compare. */
export type Likeness = 'same' | 'different' | 'unknown'

/** Layouts in which the elements come in no order: how many pieces make one. */
const PIECES = new Map<string, number>([
  ['redis 2', 1],
  ['redis 4', 2],
  ['redis 5', 2],
  ['redis 22', 3],
  ['redis 24', 3],
  ['valkey 2', 1],
  ['valkey 4', 2],
  ['valkey 5', 2],
  ['valkey 22', 3],
])
/** Before its elements a hash with lives per field has the first end of them. */
const HEADS = new Map<string, number>([['redis 24', 1]])
/** Types of which the pieces are all of the value, and do not change by themselves. */
const LAST_PLAIN_TYPE = 5

export function compareValues(a: Buffer, b: Buffer): Likeness {
  const [bodyA, bodyB] = [payloadBody(a), payloadBody(b)]
  if (bodyA.equals(bodyB)) return 'same'
  const type = bodyA[0]
  const [familyA, familyB] = [familyOf(a), familyOf(b)]
  if (type === undefined || type !== bodyB[0] || (type > 21 && familyA !== familyB)) return 'unknown'
  const [piecesA, piecesB] = [piecesOf(bodyA, familyA), piecesOf(bodyB, familyB)]
  if (!piecesA || !piecesB) return 'unknown'
  if (haveSamePieces(piecesA, piecesB)) return 'same'
  return type <= LAST_PLAIN_TYPE ? 'different' : 'unknown'
}

function familyOf(payload: Buffer): RdbFamily {
  return (payloadVersion(payload) ?? 0) >= 80 ? 'valkey' : 'redis'
}

/** In an order that does not depend on the server where the value has none; undefined when it cannot be read. */
function piecesOf(body: Buffer, family: RdbFamily): Buffer[] | undefined {
  const recorder = new Recorder(body)
  const type = recorder.byte()
  try {
    skipValue(recorder, type, family)
  } catch (error) {
    if (error instanceof RdbError || error instanceof Shortage) return undefined
    throw error
  }
  const {pieces} = recorder
  const count = PIECES.get(`${family} ${type}`)
  if (count === undefined) return pieces
  const head = HEADS.get(`${family} ${type}`) ?? 0
  const groups: Buffer[][] = []
  for (let at = head; at < pieces.length; at += count) groups.push(pieces.slice(at, at + count))
  const named = groups.map((group) => ({group, name: Buffer.concat(group)}))
  named.sort((one, other) => Buffer.compare(one.name, other.name))
  return [...pieces.slice(0, head), ...named.flatMap(({group}) => group)]
}

function haveSamePieces(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.length === b.length && a.every((piece, index) => piece.equals(b[index] as Buffer))
}

/** Keeps what it passes over, strings decoded. */
class Recorder extends Cursor {
  readonly pieces: Buffer[] = []

  constructor(body: Buffer) {
    super()
    this.window = body
    this.total = body.length
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

  /** What lengths and strings pass over on their way is no piece of the value. */
  #withoutPieces<T>(read: () => T): T {
    const before = this.pieces.length
    const result = read()
    this.pieces.length = before
    return result
  }
}
