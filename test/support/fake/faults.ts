/** What did the tool ask for, in which order, and what goes wrong with it? */
import {NodeError, type NodeFailure} from '../../../src/lib/errors.ts'
import type {NodeId} from '../../../src/lib/topology/model.ts'

const CHANGING = [
  'setImporting',
  'setMigrating',
  'setStable',
  'assignSlot',
  'migrateKeys',
  'deleteKey',
  'restoreKey',
  'addSlots',
  'setConfigEpoch',
  'bumpEpoch',
  'meet',
  'forget',
  'replicate',
  'failOver',
  'reset',
  'writeConfig',
  'rewriteConfig',
  'callCommand',
  'restoreFunctions',
  'setUser',
  'deleteUser',
  'saveUsers',
  'startSlotMigration',
  'cancelSlotMigration',
] as const
const READING = [
  'readView',
  'readClusterInfo',
  'readToldPlaces',
  'readVitals',
  'readDatabaseCount',
  'countKeys',
  'readSlotStats',
  'listKeys',
  'measureKeys',
  'readKeyTypes',
  'dumpKey',
  'readConfig',
  'readSettings',
  'listFunctions',
  'dumpFunctions',
  'listCommands',
  'listUsers',
  'findForbidden',
  'openSnapshot',
  'readAtomicFamily',
  'countRefusedWrites',
  'listSlotMigrations',
  'announce',
  'listNamedClients',
  'killClient',
] as const

export type CallKind = (typeof CHANGING)[number] | (typeof READING)[number]

/** What a call is about. */
export interface CallWords {
  readonly kind: CallKind
  readonly slot?: number
  /** The other node that the call names. */
  readonly peer?: NodeId
  readonly database?: number
  readonly keys?: number
  readonly isReplacing?: boolean
  readonly isCopying?: boolean
  readonly text?: string
}

export interface Call extends CallWords {
  readonly at: NodeId
  /** Changing calls are numbered from 1 on; 0 for those that read. */
  readonly number: number
  /** 'ok', or how it failed. */
  outcome?: 'ok' | NodeFailure
  /** What countKeys answered. */
  count?: number
}

export interface Fault {
  /** 'before': nothing was done. 'after': it was done, and the answer got lost. */
  readonly when: 'before' | 'after'
  readonly failure: NodeFailure
  readonly isFromTarget?: boolean
}

export class Script {
  /** Every call since the beginning, in the order carried out, but for counts of slots that are closed: there are too many. */
  readonly log: Call[] = []
  #fault: ((call: Call) => Fault | undefined) | undefined
  #crashAt = Number.POSITIVE_INFINITY
  #onCrash: (() => void) | undefined
  #hasCrashed = false
  #numbered = 0

  get changes(): readonly Call[] {
    return this.log.filter(({number}) => number > 0)
  }

  /** The `number`-th changing call fails, once. */
  failAt(number: number, when: Fault['when'], failure: NodeFailure): void {
    this.failWhen((call) => (call.number === number ? {when, failure} : undefined))
  }

  /** Asked about every call, those that read as well. Replaces what was scripted before. */
  failWhen(fault: ((call: Call) => Fault | undefined) | undefined): void {
    this.#fault = fault
  }

  /**
   * From the `number`-th changing call on nothing is carried out and nothing answered, as when the tool was killed with
   * kill -9. Resolves when it comes to that. FakeCluster.revive ends it.
   */
  crashAt(number: number): Promise<'crashed'> {
    this.#crashAt = number
    return new Promise((resolve) => {
      this.#onCrash = () => resolve('crashed')
    })
  }

  endCrash(): void {
    this.#crashAt = Number.POSITIVE_INFINITY
    this.#hasCrashed = false
  }

  get hasCrashed(): boolean {
    return this.#hasCrashed
  }

  /** Undefined when it is never to be answered. */
  note(words: CallWords, at: NodeId, isKept: boolean): Call | undefined {
    const isChanging = (CHANGING as readonly string[]).includes(words.kind)
    if (isChanging && this.#numbered + 1 >= this.#crashAt) this.#hasCrashed = true
    if (this.#hasCrashed) {
      this.#onCrash?.()
      return undefined
    }
    const call: Call = {...words, at, number: isChanging ? ++this.#numbered : 0}
    if (isKept) this.log.push(call)
    return call
  }

  faultFor(call: Call): Fault | undefined {
    return this.#fault?.(call)
  }
}

export function failureAt(address: string, {failure, isFromTarget}: Fault): NodeError {
  return new NodeError(failure, address, `${address}: ${failure}, as the test wants it`, {
    isFromTarget: isFromTarget ?? false,
  })
}
