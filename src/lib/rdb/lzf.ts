/** What was compressed with LZF? Strings of more than 20 bytes in RDB data often are, keys among them. */

/** A match of 3 bytes stands for at most 264. */
const MAX_RATIO = 88

/** undefined when the bytes are not LZF, or do not become `length` bytes. */
export function decompressLzf(bytes: Uint8Array, length: number): Buffer | undefined {
  if (length > bytes.length * MAX_RATIO) return undefined
  const output = Buffer.allocUnsafe(length)
  let to = 0
  for (let from = 0; from < bytes.length; ) {
    const control = bytes[from++] as number
    if (control < 32) {
      const end = from + control + 1
      if (end > bytes.length || to + control + 1 > length) return undefined
      while (from < end) output[to++] = bytes[from++] as number
      continue
    }
    let count = (control >> 5) + 2
    if (count === 9) count += bytes[from++] ?? Number.NaN
    let back = to - ((control & 31) << 8) - 1 - (bytes[from++] ?? Number.NaN)
    // A comparison with NaN is false, so the end of the bytes is refused here as well.
    if (!(back >= 0 && to + count <= length)) return undefined
    while (count-- > 0) output[to++] = output[back++] as number
  }
  return to === length ? output : undefined
}
