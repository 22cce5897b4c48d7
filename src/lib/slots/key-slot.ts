/** Which slot does a key belong to? CRC16 of the key, or of its hash tag (Redis Cluster specification, "Hash tags"). */
import calculateSlot from 'cluster-key-slot'
import {SLOT_COUNT} from './slot.ts'

/** Binary keys are given as Buffers: a string is hashed as UTF-8. */
export function keySlot(key: string | Buffer): number {
  return calculateSlot(key)
}

/** The part of a key between its first "{" and the next "}", where there is one and it is not empty: all that is hashed. */
export function hashTag(key: string): string | undefined {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : undefined
}

let tags: string[] | undefined

/** A short text whose slot is `slot`: `{tagForSlot(n)}anything` is a key of slot n. */
export function tagForSlot(slot: number): string {
  if (!tags) {
    tags = new Array<string>(SLOT_COUNT)
    let found = 0
    for (let n = 0; found < SLOT_COUNT; n++) {
      const tag = n.toString(36)
      const at = keySlot(tag)
      if (tags[at] === undefined) {
        tags[at] = tag
        found++
      }
    }
  }
  const tag = tags[slot]
  if (tag === undefined) throw new RangeError(`${slot} is not a slot`)
  return tag
}
