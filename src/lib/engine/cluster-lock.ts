/**
 * Is another rcluster at work on this cluster? Two that share one node see each other, wherever they run. The lock is a
 * named connection to every node, so that it touches nothing of the users', ends with the process, and outlives single
 * nodes. See docs/decisions/0012-lock.md, which also shows why no two hold it.
 */
import {randomBytes} from 'node:crypto'
import {type ClusterError, NodeError, RefusedError} from '../errors.ts'
import type {NodeAddress} from '../topology/model.ts'
import type {NamedClient, NodePort, Presence} from './cluster-port.ts'
import {
  type Contestant,
  contestantsAmong,
  describeOwner,
  describeWork,
  formatLockName,
  holderAmong,
  isExpired,
  LOCK_PREFIX,
  type LockOwner,
  type LockPhase,
} from './lock-entry.ts'
import {mapBounded, pause} from './waiting.ts'

export interface LockOptions {
  readonly owner: LockOwner
  /** Make whoever holds it give way. */
  readonly isTaking: boolean
  /** How the person says so. */
  readonly takingFlag?: string
  readonly leaseMs?: number
  readonly signal?: AbortSignal | undefined
  /** Worth a line for the operator. */
  readonly onNote?: ((text: string) => void) | undefined
  /**
   * The lock is somebody else's. 'asked': finish what is in flight, the other waits for that. 'gone': the other is at
   * work already, or has lost its patience: stop at once.
   */
  readonly onLost?: ((how: 'asked' | 'gone', reason: ClusterError) => void) | undefined
}

/** Silent for so long, a lock is nobody's any more: its machine went away, or its process is stopped. */
const LEASE_MS = 30_000
/** Enough to be seen by all; more of them would be asked for the list of their clients to no end. */
const MOST_NODES = 64
const PARALLEL = 64
/** How long another that is just asking may take to give way. */
const CLAIM_DEADLINE_MS = 5000
const GIVE_WAY_MS = 2000
/** What the former holder gets to finish what it has in flight, before it is told to stop at once; and then. */
const PATIENCE_MS = 30_000
const LAST_PATIENCE_MS = 15_000
/** Connections that are ended by one and the same order are not told apart from a second order within this time. */
const SECOND_ORDER_MS = 5000
/** How long the former holder stays visible when it has nothing in flight. */
const LINGER_MS = 3000
const UNPROVED_DEADLINE_MS = 60_000

interface Seat {
  readonly port: NodePort
  readonly presence: Presence
  /** No right to say a name, or to see those of others. */
  canSpeak: boolean
  canSee: boolean
  isNamed: boolean
  isComingBack: boolean
}

/** Who holds the lock, or is about to; for those who do not want it. Nodes that do not tell are passed over. */
export async function findLockHolder(ports: readonly NodePort[]): Promise<LockOwner | undefined> {
  return holderAmong(await mapBounded(nodesOfLock(ports), PARALLEL, (port) => listOrNothing(port)))
}

/** The same ones for everybody: node IDs do not change. */
function nodesOfLock(ports: readonly NodePort[]): NodePort[] {
  return [...ports].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, MOST_NODES)
}

async function listOrNothing(port: NodePort): Promise<readonly NamedClient[]> {
  try {
    return await port.listNamedClients(LOCK_PREFIX)
  } catch (error) {
    if (error instanceof NodeError) return []
    throw error
  }
}

/**
 * Takes the lock on all of `ports`, or as many of them as allow it.
 * @throws RefusedError 'busy' naming who has it; the signal's reason when it aborts first.
 */
export async function takeLock(ports: readonly NodePort[], options: LockOptions): Promise<ClusterLock> {
  const lock = new ClusterLock(ports, options)
  try {
    await lock.claim()
    return lock
  } catch (error) {
    await lock.release()
    throw error
  }
}

export class ClusterLock {
  readonly #options: LockOptions
  readonly #leaseMs: number
  readonly #nonce = randomBytes(8).toString('hex')
  readonly #seats: readonly Seat[]
  #phase: LockPhase = 'claiming'
  /** When a node was last told our name: on two clocks, since one stands still while the machine sleeps. */
  #proved = {atMs: Number.NEGATIVE_INFINITY, wallMs: Number.NEGATIVE_INFINITY}
  #proving: Promise<void> | undefined
  #yieldedAtMs: number | undefined
  #hasMetOthers = false
  #isOver = false
  #beat: NodeJS.Timeout | undefined

  constructor(ports: readonly NodePort[], options: LockOptions) {
    this.#options = options
    this.#leaseMs = options.leaseMs ?? LEASE_MS
    this.#seats = nodesOfLock(ports).map((port) => {
      const seat: Seat = {
        port,
        presence: port.openPresence(() => {
          seat.isNamed = false
          if (!this.#isOver && this.#phase !== 'claiming') void this.#comeBack(seat)
        }),
        canSpeak: true,
        canSee: true,
        isNamed: false,
        isComingBack: false,
      }
      return seat
    })
  }

  /** No node lets us both be seen and see: other machines' runs are not known. */
  get isBlind(): boolean {
    return !this.#seats.some(({canSpeak, canSee}) => canSpeak && canSee)
  }

  /** Nodes that say nothing about others. */
  get unseen(): NodeAddress[] {
    return this.#seats.filter(({canSpeak, canSee}) => !canSpeak || !canSee).map(({port}) => port.address)
  }

  /** Was anybody there while we claimed it? Then the cluster may have changed since it was last looked at. */
  get hasMetOthers(): boolean {
    return this.#hasMetOthers
  }

  async claim(): Promise<void> {
    const {isTaking, signal} = this.#options
    const startedAt = performance.now()
    /** Those that were told to give way and have not been seen doing so: until when they may believe to hold the lock. */
    const believers = new Map<string, number>()
    const told = new Map<string, number>()
    const passedOver = new Set<string>()
    for (let intervalMs = 10; ; intervalMs = Math.min(intervalMs * 1.5, 1000)) {
      await this.#announce((seat) => !seat.isNamed)
      const all = await this.#look()
      if (all.length > 0) this.#hasMetOthers = true
      const expired = all.filter(isExpired)
      for (const one of expired) if (!passedOver.has(one.entry.nonce)) this.#passOver(one)
      for (const {entry} of expired) passedOver.add(entry.nonce)
      for (const {entry} of all) if (!isBeliever(entry.phase)) believers.delete(entry.nonce)
      const live = all.filter((one) => !isExpired(one) && one.entry.phase !== 'done')
      const now = performance.now()
      for (const [nonce, untilMs] of believers) if (untilMs <= now) believers.delete(nonce)
      if (live.length === 0 && believers.size === 0) break
      const rival = live.find(({entry}) => this.#goesFirst(entry))
      if (rival) throw this.#refusal(rival)
      for (const one of isTaking ? live : []) {
        const {nonce, phase} = one.entry
        // It sees our claim by itself, unless it stands still.
        if (phase === 'claiming' && now - startedAt < GIVE_WAY_MS) continue
        const toldAtMs = told.get(nonce)
        if (phase === 'yielding' && (toldAtMs === undefined || now - toldAtMs < PATIENCE_MS)) continue
        if (toldAtMs === undefined) {
          this.#options.onNote?.(`Taking the lock from ${describeOwner(one.entry)}; waiting until it has stopped.`)
        }
        if (phase !== 'yielding') believers.set(nonce, now + one.entry.leaseMs - one.idleMs)
        told.set(nonce, phase === 'yielding' || toldAtMs === undefined ? now : toldAtMs)
        await this.#kill(one)
      }
      const deadlineMs = isTaking ? this.#leaseMs + PATIENCE_MS + LAST_PATIENCE_MS : CLAIM_DEADLINE_MS
      const [first] = live
      if (first && now - startedAt > deadlineMs) throw this.#refusal(first)
      await pause(intervalMs, signal)
      signal?.throwIfAborted()
    }
    this.#phase = 'held'
    if (this.isBlind) return
    // Nobody goes by the new name who has not seen the old one before.
    void this.#announce(() => true)
    this.#beat = setInterval(() => void this.#keepUp(), this.#leaseMs / 6)
    this.#beat.unref()
  }

  /**
   * Resolves when it is certain that the lock is ours, or that it is not (then `onLost` was called): to be awaited before
   * anything new is begun. Costs nothing unless this process, its machine or its network has stood still.
   */
  async ready(): Promise<void> {
    if (!this.#isSure) await this.#prove()
  }

  /** Ends it. Whoever gave way stays until the other has seen that nothing is in flight any more. */
  async release(): Promise<void> {
    clearInterval(this.#beat)
    if (this.#phase === 'yielding' && !this.#isOver) {
      this.#phase = 'done'
      await this.#announce(() => true)
      const endsAt = performance.now() + LINGER_MS
      while (performance.now() < endsAt) {
        const others = await this.#look()
        if (!others.some(({entry}) => entry.isTaking && entry.phase === 'claiming')) break
        await pause(100)
      }
    }
    this.#isOver = true
    for (const {presence} of this.#seats) presence.close()
  }

  get #isSure(): boolean {
    if (this.#isOver || this.#phase !== 'held' || this.isBlind) return true
    // Others wait for the whole lease.
    const boundMs = (this.#leaseMs * 2) / 3
    return performance.now() - this.#proved.atMs < boundMs && Date.now() - this.#proved.wallMs < boundMs
  }

  /** Of two that both want it, one must give way: who claims first to take it, else the smaller nonce. */
  #goesFirst(other: Contestant['entry']): boolean {
    const {isTaking} = this.#options
    if (other.phase !== 'claiming') return !isTaking
    if (other.isTaking !== isTaking) return other.isTaking
    return other.nonce < this.#nonce
  }

  #name(): string {
    const {owner, isTaking} = this.#options
    return formatLockName({...owner, nonce: this.#nonce, phase: this.#phase, isTaking, leaseMs: this.#leaseMs})
  }

  async #announce(isMeant: (seat: Seat) => boolean): Promise<void> {
    const seats = this.#seats.filter((seat) => seat.canSpeak && isMeant(seat))
    await mapBounded(seats, PARALLEL, (seat) => this.#announceAt(seat))
  }

  async #announceAt(seat: Seat): Promise<void> {
    const began = {atMs: performance.now(), wallMs: Date.now()}
    try {
      await seat.presence.announce(this.#name())
      seat.isNamed = true
      if (began.atMs > this.#proved.atMs) this.#proved = began
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      seat.isNamed = false
      if (!mayPass(error)) seat.canSpeak = false
    }
  }

  /** Everybody else, as the nodes that answer see them. */
  async #look(): Promise<Contestant[]> {
    const lists = await mapBounded(this.#seats, PARALLEL, async (seat) => {
      if (!seat.canSee) return []
      try {
        return await seat.port.listNamedClients(LOCK_PREFIX)
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        if (!mayPass(error)) seat.canSee = false
        return []
      }
    })
    return contestantsAmong(lists, this.#nonce)
  }

  #passOver(one: Contestant): void {
    const seconds = Math.round(one.idleMs / 1000)
    this.#options.onNote?.(
      `Passing over a lock that is ${seconds} s old without a sign of life: ${describeOwner(one.entry)}`,
    )
    // So that it learns of it when it comes back; it asks by itself where this is not allowed.
    void this.#kill(one).catch(() => undefined)
  }

  async #kill({clients, entry}: Contestant): Promise<void> {
    const failures: NodeError[] = []
    await mapBounded(clients, PARALLEL, async ({node, id}) => {
      try {
        await this.#seats[node]?.port.killClient(id)
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        failures.push(error)
      }
    })
    const [first] = failures
    if (first === undefined || failures.length < clients.length) return
    if (first.failure !== 'permission') return
    throw new RefusedError('busy', `the lock of ${describeOwner(entry)} cannot be taken: ${first.message}`, {
      details: {holder: ownerOf(entry)},
      suggestions: ['The user needs +client|kill to take a lock; or stop the other run with Ctrl-C there'],
    })
  }

  #refusal({entry}: Contestant): RefusedError {
    const suggestions = this.#options.isTaking
      ? ['Wait until it has stopped, and run the command again']
      : [
          'Wait until it is done, or stop it with Ctrl-C there',
          `Add ${this.#options.takingFlag ?? '--take-lock'} to stop it from here: it finishes what it has in flight first`,
        ]
    return new RefusedError('busy', describeWork(entry), {
      details: {holder: ownerOf(entry)},
      suggestions,
    })
  }

  /** After a connection ended: the node may have restarted, or somebody wants the lock. */
  async #comeBack(seat: Seat): Promise<void> {
    if (seat.isComingBack) return
    seat.isComingBack = true
    try {
      await this.#tryToComeBack(seat)
    } finally {
      seat.isComingBack = false
    }
  }

  async #tryToComeBack(seat: Seat): Promise<void> {
    for (let waitMs = 20; !this.#isOver && !seat.isNamed; waitMs = Math.min(waitMs * 2, 2000)) {
      // Asked before we are back: who wants the lock would have to end the new connection as well.
      const others = contestantsAmong([await listOrNothing(seat.port)], this.#nonce).filter((one) => !isExpired(one))
      this.#judge(others)
      if (this.#isOver) return
      await this.#announceAt(seat)
      if (seat.isNamed) return this.#lookAgain()
      if (!seat.canSpeak) return
      await pause(waitMs)
    }
  }

  /** Who claimed the lock while we were not to be seen either gives way now or has it. */
  async #lookAgain(): Promise<void> {
    const endsAt = performance.now() + CLAIM_DEADLINE_MS
    for (;;) {
      const others = (await this.#look()).filter((one) => !isExpired(one))
      this.#judge(others)
      if (this.#isOver || this.#phase !== 'held' || others.length === 0 || performance.now() > endsAt) return
      await pause(100)
    }
  }

  /** Do we still hold the lock, now that these are there as well? */
  #judge(others: readonly Contestant[]): void {
    if (this.#isOver || this.#phase === 'claiming') return
    const holder = others.find(({entry}) => entry.phase === 'held')
    const taker = others.find(({entry}) => entry.isTaking && entry.phase === 'claiming')
    if (holder) {
      this.#isOver = true
      for (const {presence} of this.#seats) presence.close()
      this.#tellLost('gone', holder)
    } else if (taker && this.#phase === 'held') {
      this.#phase = 'yielding'
      this.#yieldedAtMs = performance.now()
      void this.#announce(() => true)
      this.#tellLost('asked', taker)
    } else if (taker && performance.now() - (this.#yieldedAtMs ?? 0) > SECOND_ORDER_MS) {
      this.#tellLost('gone', taker)
    }
  }

  #tellLost(how: 'asked' | 'gone', {entry}: Contestant): void {
    const what = entry.isTaking ? 'has taken the lock' : 'is at work on this cluster now'
    const reason = new RefusedError('busy', `${describeOwner(entry)} ${what}`, {
      details: {holder: ownerOf(entry)},
      suggestions: ['Run the command again when that is done'],
    })
    this.#options.onLost?.(how, reason)
  }

  async #keepUp(): Promise<void> {
    if (this.#isOver) return
    // Stopped and continued, or cut off: the lock may have expired meanwhile.
    if (!this.#isSure) return this.#prove()
    await this.#announce((seat) => seat.isNamed)
    for (const seat of this.#seats) if (seat.canSpeak && !seat.isNamed && !this.#isOver) void this.#comeBack(seat)
  }

  #prove(): Promise<void> {
    this.#proving ??= this.#proveAnew().finally(() => {
      this.#proving = undefined
    })
    return this.#proving
  }

  async #proveAnew(): Promise<void> {
    const endsAt = performance.now() + Math.max(UNPROVED_DEADLINE_MS, this.#leaseMs)
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2000)) {
      // First whether the place is free: our old connections may still be there, and others have passed them over.
      this.#judge((await this.#look()).filter((one) => !isExpired(one)))
      if (this.#isOver || this.#phase !== 'held') return
      await this.#announce(() => true)
      if (this.#isSure) return this.#lookAgain()
      // Who is told to stop begins nothing more for which it would have to be certain.
      if (this.#options.signal?.aborted) return
      if (performance.now() > endsAt) break
      await pause(waitMs)
    }
    this.#isOver = true
    this.#options.onLost?.(
      'asked',
      new RefusedError('busy', 'no node answers that could tell whether the lock is still ours', {
        suggestions: ['Run the command again when the nodes answer'],
      }),
    )
  }
}

/** What a node may be over with by and by. Any other answer to a name it gives the next time, too. */
function mayPass({failure}: NodeError): boolean {
  return ['refused', 'unresolved', 'no-route', 'timeout', 'closed', 'loading', 'tls', 'wrong-node'].includes(failure)
}

/** Has it not noticed yet that it is to give way? */
function isBeliever(phase: LockPhase): boolean {
  return phase === 'claiming' || phase === 'held'
}

function ownerOf({host, user, pid, since, command}: LockOwner): LockOwner {
  return {host, user, pid, since, command}
}
