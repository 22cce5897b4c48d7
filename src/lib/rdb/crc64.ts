/**
 * What is the CRC64 of some bytes? The Jones polynomial, reflected, from 0, as at the end of RDB files and DUMP payloads.
 * Two 32-bit halves and eight bytes at a time: BigInt is a hundred times slower, and every byte of a backup passes here.
 */

const POLYNOMIAL = {high: 0x95ac9329, low: 0xac4bc9b5}

/** Entry 256 * n + byte: what a byte with n more bytes behind it does to the upper and the lower half. */
const HIGH = new Uint32Array(8 * 256)
const LOW = new Uint32Array(8 * 256)

for (let byte = 0; byte < 256; byte++) {
  let [high, low] = [0, byte]
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = (low & 1) === 1
    low = (low >>> 1) | (high << 31)
    high >>>= 1
    if (isOdd) {
      high ^= POLYNOMIAL.high
      low ^= POLYNOMIAL.low
    }
  }
  HIGH[byte] = high
  LOW[byte] = low
}
for (let at = 256; at < HIGH.length; at++) {
  const [high, low] = [HIGH[at - 256]!, LOW[at - 256]!]
  HIGH[at] = (high >>> 8) ^ HIGH[low & 255]!
  LOW[at] = ((low >>> 8) | (high << 24)) ^ LOW[low & 255]!
}

export class Crc64 {
  #high = 0
  #low = 0

  update(bytes: Uint8Array, start = 0, end = bytes.length): this {
    const [H, L] = [HIGH, LOW]
    let [high, low] = [this.#high, this.#low]
    let at = start
    for (const last = end - 8; at <= last; at += 8) {
      const a = low ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
      const b = high ^ (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24))
      const a0 = 1792 + (a & 255)
      const a1 = 1536 + ((a >>> 8) & 255)
      const a2 = 1280 + ((a >>> 16) & 255)
      const a3 = 1024 + (a >>> 24)
      const b0 = 768 + (b & 255)
      const b1 = 512 + ((b >>> 8) & 255)
      const b2 = 256 + ((b >>> 16) & 255)
      const b3 = b >>> 24
      high = H[a0]! ^ H[a1]! ^ H[a2]! ^ H[a3]! ^ H[b0]! ^ H[b1]! ^ H[b2]! ^ H[b3]!
      low = L[a0]! ^ L[a1]! ^ L[a2]! ^ L[a3]! ^ L[b0]! ^ L[b1]! ^ L[b2]! ^ L[b3]!
    }
    for (; at < end; at++) {
      const byte = (low ^ bytes[at]!) & 255
      low = ((low >>> 8) | (high << 24)) ^ L[byte]!
      high = (high >>> 8) ^ H[byte]!
    }
    this.#high = high
    this.#low = low
    return this
  }

  /** Eight bytes, little endian, as servers write it. */
  digest(): Buffer {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeUInt32LE(this.#low >>> 0, 0)
    bytes.writeUInt32LE(this.#high >>> 0, 4)
    return bytes
  }
}
