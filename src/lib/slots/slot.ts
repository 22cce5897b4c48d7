/** What is a slot number? */

/** Slots are numbered 0 … 16383 (Redis Cluster specification, "Key distribution model"). */
export const SLOT_COUNT = 16384

export function isSlot(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < SLOT_COUNT
}
