/** What is in RDB data, in numbers? Counted as it passes by; nothing of it is kept. */
import type {RdbItem} from '../rdb/rdb-items.ts'
import {hasFieldLives} from '../rdb/value-layout.ts'
import {keySlot} from '../slots/key-slot.ts'
import {type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'

export class Census {
  /** Keys of the slots asked for; `strays` are not among them. */
  readonly keysByDatabase = new Map<number, number>()
  /** Of those: keys that have an end, and those whose end had come at `nowMs`. */
  expiring = 0
  expired = 0
  /** Keys that may end by themselves, hashes of which every field does among them. */
  mortal = 0
  /** Keys of other slots: what a move or a split left behind. Their owner has the key that counts. */
  strays = 0
  largestValueBytes = 0
  /** Code of the function libraries, in order. */
  readonly libraries: Buffer[] = []
  /** Modules with data that belong to no key. */
  readonly modules = new Set<string>()
  /** Slots were on their way in. */
  isImportingSlots = false
  isChecked = false
  serverVersion = ''
  readonly #slots: ReadonlySet<number> | undefined
  readonly #nowMs: number

  /** `slots` undefined: all. */
  constructor(slots: SlotRanges | undefined, nowMs: number) {
    this.#slots = slots && new Set(slotsInRanges(slots))
    this.#nowMs = nowMs
  }

  get keys(): number {
    return [...this.keysByDatabase.values()].reduce((sum, count) => sum + count, 0)
  }

  /** @returns how many keys were among them. */
  add(items: readonly RdbItem[]): number {
    let keys = 0
    for (const item of items) {
      if (item.kind === 'key') {
        keys++
        if (!isWithin(item.key, this.#slots)) {
          this.strays++
          continue
        }
        this.keysByDatabase.set(item.database, (this.keysByDatabase.get(item.database) ?? 0) + 1)
        if (item.expiresAtMs !== undefined) this.expiring++
        if (item.expiresAtMs !== undefined || hasFieldLives(item.type)) this.mortal++
        if (item.expiresAtMs !== undefined && item.expiresAtMs <= this.#nowMs) this.expired++
        this.largestValueBytes = Math.max(this.largestValueBytes, item.value.length)
      } else this.#note(item)
    }
    return keys
  }

  #note(item: RdbItem): void {
    if (item.kind === 'library') this.libraries.push(Buffer.from(item.code))
    else if (item.kind === 'module-data') this.modules.add(item.module)
    else if (item.kind === 'slot-import') this.isImportingSlots = true
    else if (item.kind === 'end') this.isChecked = item.isChecked
    else if (item.kind === 'aux' && /^(redis|valkey)-ver$/.test(item.name)) this.serverVersion = item.value.toString()
    // Redis 8.4 and later: the text of a slot migration on its way in, or nothing.
    else if (item.kind === 'aux' && item.name === 'cluster-asm-task' && item.value.length > 0)
      this.isImportingSlots = true
  }
}

export function isWithin(key: Buffer, slots: ReadonlySet<number> | undefined): boolean {
  return slots === undefined || slots.has(keySlot(key))
}
