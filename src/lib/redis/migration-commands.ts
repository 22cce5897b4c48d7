/** How is a node asked for slot migrations of its own? In the words of its family. */
import type {AtomicFamily, SlotMigration} from '../engine/cluster-port.ts'
import {NodeError} from '../errors.ts'
import type {SlotRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeAddress, type NodeId} from '../topology/model.ts'
import type {Argument} from './encode-command.ts'
import type {Reply} from './replies.ts'
import {unless} from './reply-errors.ts'
import {listIn, textIn, understand, understood} from './reply-shapes.ts'
import {parsePullMigrations, parsePushMigrations} from './slot-migrations.ts'
import type {Wire} from './wire.ts'

/** As NodePort has them. */
export class MigrationCommands {
  readonly #address: NodeAddress
  readonly #wire: Wire
  #family: Promise<AtomicFamily | undefined> | undefined

  constructor(address: NodeAddress, wire: Wire) {
    this.#address = address
    this.#wire = wire
  }

  readFamily(): Promise<AtomicFamily | undefined> {
    this.#family ??= this.#readFamily().catch((error: unknown) => {
      this.#family = undefined
      throw error
    })
    return this.#family
  }

  async #readFamily(): Promise<AtomicFamily | undefined> {
    // Servers before 7 know no subcommands here, and answer nil for what they do not know.
    const words = ['COMMAND', 'INFO', 'cluster|migrateslots', 'cluster|migration']
    const [push, pull] = await this.#ask(words, listIn).catch(unless('permission', []))
    if (Array.isArray(push)) return 'push'
    return Array.isArray(pull) ? 'pull' : undefined
  }

  async start(ranges: SlotRanges, target: NodeId): Promise<string> {
    const bounds = ranges.flatMap(({start, end}) => [start, end])
    if ((await this.readFamily()) === 'pull') {
      return this.#ask(['CLUSTER', 'MIGRATION', 'IMPORT', ...bounds], textIn)
    }
    // The answer is a bare OK: the new one is what the list did not have before.
    const list = ['CLUSTER', 'GETSLOTMIGRATIONS']
    const start = ['CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', ...bounds, 'NODE', target]
    // Asked apart: who may not look must not begin.
    const before = await this.#ask(list, parsePushMigrations)
    const [, after] = await this.#wire.sequence([start, list])
    const known = new Set(before.map(({id}) => id))
    const begun = understood(this.#address, list, after, parsePushMigrations).find(({id}) => !known.has(id))
    if (!begun) throw new NodeError('try-again', formatAddress(this.#address), 'the slot migration does not show yet')
    return begun.id
  }

  async list(): Promise<readonly SlotMigration[]> {
    switch (await this.readFamily()) {
      case 'push':
        return this.#ask(['CLUSTER', 'GETSLOTMIGRATIONS'], parsePushMigrations)
      case 'pull':
        return this.#ask(['CLUSTER', 'MIGRATION', 'STATUS', 'ALL'], parsePullMigrations)
      default:
        return []
    }
  }

  async read(id: string): Promise<SlotMigration | undefined> {
    if ((await this.readFamily()) === 'pull') {
      const known = await this.#ask(['CLUSTER', 'MIGRATION', 'STATUS', 'ID', id], parsePullMigrations)
      return known.find((one) => one.id === id)
    }
    return (await this.list()).find((one) => one.id === id)
  }

  async cancel(id: string): Promise<void> {
    if ((await this.readFamily()) === 'pull') {
      await this.#wire.call(['CLUSTER', 'MIGRATION', 'CANCEL', 'ID', id])
      return
    }
    try {
      await this.#wire.call(['CLUSTER', 'CANCELSLOTMIGRATIONS'])
    } catch (error) {
      if (!(error instanceof NodeError && /no migrations ongoing/i.test(error.message))) throw error
    }
  }

  #ask<T>(command: readonly Argument[], read: (reply: Reply) => T): Promise<T> {
    return understand(this.#address, command, this.#wire.call(command), read)
  }
}
