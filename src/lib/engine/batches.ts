/**
 * Which keys travel in one MIGRATE? The source serves nobody while a MIGRATE runs, so a batch is bounded by keys and by
 * bytes; a key larger than the byte bound travels alone. Pure.
 */

export interface BatchLimits {
  readonly maxKeys: number
  readonly maxBytes: number
}

export interface Batch {
  readonly keys: readonly Buffer[]
  /** Estimated from the measured keys. */
  readonly bytes: number
}

/** `bytesOf[i]` belongs to `keys[i]`. Order is kept; no key is left out; no batch is empty. */
export function planBatches(keys: readonly Buffer[], bytesOf: readonly number[], limits: BatchLimits): Batch[] {
  const batches: {keys: Buffer[]; bytes: number}[] = []
  let current: {keys: Buffer[]; bytes: number} | undefined
  for (const [index, key] of keys.entries()) {
    const bytes = bytesOf[index] ?? 0
    if (!current || current.keys.length >= limits.maxKeys || current.bytes + bytes > limits.maxBytes) {
      current = {keys: [], bytes: 0}
      batches.push(current)
    }
    current.keys.push(key)
    current.bytes += bytes
  }
  return batches
}

/** How many of `count` keys are measured to judge the rest: all of a few, a spread of many. */
export function sampleIndexes(count: number): number[] {
  const wanted = Math.min(count, 10)
  return Array.from({length: wanted}, (_, i) => Math.floor((i * count) / wanted))
}

/**
 * Are the measured keys alike enough to take their mean for all? A key ten times the mean hints at more of its kind, and
 * one of them in a full batch would stall the source.
 */
export function areAlike(sizes: readonly number[]): boolean {
  if (sizes.length === 0) return true
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
  return Math.max(...sizes) <= Math.max(10 * mean, 4096)
}
