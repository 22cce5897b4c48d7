/** What does one fake server hold? Values by database and slot, with their time to live. */
import {keySlot} from '../../../src/lib/slots/key-slot.ts'

export interface Value {
  readonly payload: Buffer
  /** As Date.now() tells time; undefined lives on. */
  readonly expiresAtMs: number | undefined
}

/** Key names are kept as latin1 text, which holds any bytes. */
export function nameOf(key: Buffer): string {
  return key.toString('latin1')
}

export class Keyspace {
  readonly #databases: Map<number, Map<string, Value>>[]

  constructor(databaseCount: number) {
    this.#databases = Array.from({length: databaseCount}, () => new Map())
  }

  get databaseCount(): number {
    return this.#databases.length
  }

  get(key: Buffer, database: number): Value | undefined {
    const slot = this.#slot(keySlot(key), database)
    const value = slot?.get(nameOf(key))
    if (value?.expiresAtMs === undefined || value.expiresAtMs > Date.now()) return value
    slot?.delete(nameOf(key))
    return undefined
  }

  set(key: Buffer, value: Value, database: number): void {
    const slots = this.#databases[database]
    if (!slots) throw new RangeError(`there is no database ${database}`)
    const slot = keySlot(key)
    const values = slots.get(slot) ?? new Map<string, Value>()
    slots.set(slot, values)
    values.set(nameOf(key), value)
  }

  delete(key: Buffer, database: number): boolean {
    return this.#slot(keySlot(key), database)?.delete(nameOf(key)) ?? false
  }

  keysIn(slot: number, database: number): Buffer[] {
    const names = [...(this.#slot(slot, database)?.keys() ?? [])]
    return names.map((name) => Buffer.from(name, 'latin1')).filter((key) => this.get(key, database) !== undefined)
  }

  countIn(slot: number, database: number): number {
    return this.keysIn(slot, database).length
  }

  /** Over all databases, as SETSLOT NODE at a source counts. */
  countInAll(slot: number): number {
    return this.#databases.reduce((sum, _, database) => sum + this.countIn(slot, database), 0)
  }

  deleteSlot(slot: number): void {
    for (const slots of this.#databases) slots.delete(slot)
  }

  /** Every key with its database. */
  keys(): {readonly key: Buffer; readonly database: number}[] {
    return this.#databases.flatMap((slots, database) =>
      [...slots.keys()].flatMap((slot) => this.keysIn(slot, database).map((key) => ({key, database}))),
    )
  }

  clone(): Keyspace {
    const copy = new Keyspace(this.databaseCount)
    for (const {key, database} of this.keys()) {
      const value = this.get(key, database)
      if (value) copy.set(key, value, database)
    }
    return copy
  }

  #slot(slot: number, database: number): Map<string, Value> | undefined {
    return this.#databases[database]?.get(slot)
  }
}
