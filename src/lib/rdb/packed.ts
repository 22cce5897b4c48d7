/**
 * What is in the packed forms of small sets, hashes and sorted sets? Listpacks (Redis 7 and later) and intsets. Read only
 * to compare values; undefined comes back for what is not of the form.
 */

const LISTPACK_HEADER = 6
const LISTPACK_END = 255
const INTSET_HEADER = 8

/** Numbers as their digits, as clients see them. */
export function listpackElements(bytes: Buffer): Buffer[] | undefined {
  const elements: Buffer[] = []
  try {
    let at = LISTPACK_HEADER
    while (bytes[at] !== LISTPACK_END) {
      const {element, size} = listpackEntry(bytes, at)
      if (element.length > bytes.length || at + size >= bytes.length) return undefined
      elements.push(element)
      at += size + backLengthSize(size)
    }
    return at + 1 === bytes.length ? elements : undefined
  } catch (error) {
    // Reading beyond the end.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** The first bits of an entry say what it is; `size` is without the length behind it that is for walking backwards. */
function listpackEntry(bytes: Buffer, at: number): {element: Buffer; size: number} {
  const first = bytes.readUInt8(at)
  const text = (head: number, length: number) => ({
    element: bytes.subarray(at + head, at + head + length),
    size: head + length,
  })
  const number = (size: number, value: number | bigint) => ({element: Buffer.from(String(value)), size})
  if (first < 0x80) return number(1, first)
  if (first < 0xc0) return text(1, first & 0x3f)
  if (first < 0xe0) {
    const value = ((first & 0x1f) << 8) | bytes.readUInt8(at + 1)
    return number(2, value < 0x1000 ? value : value - 0x2000)
  }
  if (first < 0xf0) return text(2, ((first & 0x0f) << 8) | bytes.readUInt8(at + 1))
  switch (first) {
    case 0xf0:
      return text(5, bytes.readUInt32LE(at + 1))
    case 0xf1:
      return number(3, bytes.readInt16LE(at + 1))
    case 0xf2:
      return number(4, bytes.readIntLE(at + 1, 3))
    case 0xf3:
      return number(5, bytes.readInt32LE(at + 1))
    case 0xf4:
      return number(9, bytes.readBigInt64LE(at + 1))
    default:
      throw new RangeError(`${first} begins no entry of a listpack`)
  }
}

/** Seven bits to a byte. */
function backLengthSize(size: number): number {
  let count = 1
  for (let rest = size; rest > 127; rest = Math.floor(rest / 128)) count++
  return count
}

export function intsetElements(bytes: Buffer): Buffer[] | undefined {
  if (bytes.length < INTSET_HEADER) return undefined
  const [width, count] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)]
  if (![2, 4, 8].includes(width) || bytes.length !== INTSET_HEADER + width * count) return undefined
  return Array.from({length: count}, (_, index) => {
    const at = INTSET_HEADER + index * width
    return Buffer.from(String(width === 8 ? bytes.readBigInt64LE(at) : bytes.readIntLE(at, width)))
  })
}
