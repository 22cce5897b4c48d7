/** What does the operator do in a round? Commands as they are typed, drawn from what the cluster is like now. */
import {formatSlots} from '../../src/lib/slots/slot-ranges.ts'
import {isPrimary, type NodePicture} from './picture.ts'
import type {Random} from './random.ts'

export interface Operation {
  readonly args: readonly string[]
  /** Where faults hit: addresses. */
  readonly from: string | undefined
  readonly to: string | undefined
  /** Does the cluster look as exit code 0 claims? Undefined: rcluster check has to do. */
  readonly isDone?: (pictures: readonly NodePicture[]) => boolean
  /** What it does a failover can undo: roles, not slots. */
  readonly isOfRoles?: boolean
  /** Which way slots go between these nodes and others, where that is known. */
  readonly direction?: 'from' | 'to'
  /** Once it is done the same words mean something else: a failover would go back, who has left is not known any more. */
  readonly isOnce?: boolean
}

export interface Ground {
  readonly pictures: readonly NodePicture[]
  /** Addresses of servers that are in no cluster. */
  readonly spares: readonly string[]
  readonly isPersistent: boolean
}

type Draw = (random: Random, ground: Ground) => Operation | undefined

const MOVES: readonly Draw[] = [reshardSlots, reshardSlots, reshardCount, rebalance, addPrimary, drainNode]
const OTHERS: readonly Draw[] = [failOver, addReplica, replicate]

export function drawOperation(random: Random, ground: Ground): Operation {
  for (;;) {
    const draw = random.pick(random.isHit(0.8) ? MOVES : OTHERS)
    const operation = draw(random, ground)
    if (operation) return operation
  }
}

function primariesOf({pictures}: Ground): NodePicture[] {
  return pictures.filter(({self}) => isPrimary(self) && self.slots.length > 0)
}

/** How moves go: slow ones leave faults the time to hit. */
function pace(random: Random): string[] {
  const args: string[] = ['--mover', random.pick(['auto', 'migrate', 'migrate'])]
  // A minute by default: a round has not that much time for each of its commands.
  args.push('--patience', random.pick(['5s', '15s', '20s']))
  if (random.isHit(0.3)) args.push('--max-pause', random.pick(['1ms', '5ms', '50ms']))
  if (random.isHit(0.3)) args.push('--concurrency', String(random.whole(2, 4)))
  if (args[1] === 'migrate' && random.isHit(0.6)) args.push('--max-bandwidth', random.pick(['200k', '400k', '800k']))
  return args
}

function reshardSlots(random: Random, ground: Ground): Operation {
  const primaries = primariesOf(ground)
  const from = random.pick(primaries)
  const to = random.pick(primaries.filter((one) => one !== from))
  const count = Math.min(random.whole(20, 1500), Math.max(1, from.self.slots.length - 1))
  const first = random.whole(0, from.self.slots.length - count)
  const slots = from.self.slots.slice(first, first + count)
  const list = formatSlots(slots)
  const ends = ['--from', from.address, '--to', to.address, '--slots-list', list]
  return {
    args: ['reshard', to.address, ...ends, ...pace(random)],
    from: from.address,
    to: to.address,
    direction: 'to',
    isDone: (pictures) => shardHas(pictures, to.self.id, slots),
  }
}

function reshardCount(random: Random, ground: Ground): Operation {
  const to = random.pick(primariesOf(ground))
  const count = random.whole(50, 1200)
  const from = random.pick(primariesOf(ground).filter((one) => one !== to))
  const wanted = to.self.slots.length + count
  return {
    direction: 'to',
    isDone: (pictures) => ownedBy(pictures, to.self.id).length === wanted,
    args: ['reshard', to.address, '--from', 'all', '--to', to.address, '--slots', String(count), ...pace(random)],
    from: from.address,
    to: to.address,
  }
}

function rebalance(random: Random, ground: Ground): Operation {
  const primaries = primariesOf(ground)
  const [heavy, light] = [random.pick(primaries), random.pick(primaries)]
  const weights = [`${heavy.address}=${random.pick(['1.5', '2', '3'])}`]
  if (light !== heavy) weights.push(`${light.address}=${random.pick(['0.5', '0.8', '1'])}`)
  return {
    args: ['rebalance', heavy.address, '--weight', weights.join(','), '--threshold', '1', ...pace(random)],
    from: light.address,
    to: heavy.address,
  }
}

function addPrimary(random: Random, ground: Ground): Operation | undefined {
  const [spare] = ground.spares
  if (spare === undefined) return undefined
  const seed = random.pick(primariesOf(ground)).address
  const args = ['add-node', spare, seed, '--rebalance', ...pace(random)]
  return {
    args,
    from: seed,
    to: spare,
    direction: 'to',
    isDone: (pictures) => pictures.some((one) => one.address === spare),
  }
}

function addReplica(random: Random, ground: Ground): Operation | undefined {
  const [spare] = ground.spares
  if (spare === undefined) return undefined
  const primary = random.pick(primariesOf(ground)).address
  return {
    args: ['add-node', spare, primary, '--replica', '--primary', primary],
    from: primary,
    to: spare,
    isOfRoles: true,
    isDone: (pictures) => pictures.some(({address, self}) => address === spare && !isPrimary(self)),
  }
}

/** Four primaries at least: three are needed for a majority that survives one. */
function drainNode(random: Random, ground: Ground): Operation | undefined {
  const primaries = primariesOf(ground)
  if (primaries.length < 4) return undefined
  const leaving = random.pick(primaries)
  const seed = random.pick(primaries.filter((one) => one !== leaving))
  return {
    args: ['del-node', seed.address, leaving.address, '--drain', ...pace(random)],
    from: leaving.address,
    to: seed.address,
    direction: 'from',
    isOnce: true,
    isDone: (pictures) => pictures.every(({lines}) => !lines.some(({id}) => id === leaving.self.id)),
  }
}

function failOver(random: Random, ground: Ground): Operation | undefined {
  const replicas = ground.pictures.filter(({self}) => self.primaryId !== undefined)
  if (replicas.length === 0) return undefined
  const replica = random.pick(replicas)
  const primary = ground.pictures.find(({self}) => self.id === replica.self.primaryId)
  return {
    args: ['failover', replica.address],
    from: primary?.address,
    to: replica.address,
    isOnce: true,
    isOfRoles: true,
    isDone: (pictures) => pictures.some(({self}) => self.id === replica.self.id && isPrimary(self)),
  }
}

/** Leaves a shard without a replica where there is one each: only where the disks have everything. */
function replicate(random: Random, ground: Ground): Operation | undefined {
  const replicas = ground.pictures.filter(({self}) => self.primaryId !== undefined)
  if (replicas.length === 0 || !ground.isPersistent) return undefined
  const replica = random.pick(replicas)
  const primary = random.pick(primariesOf(ground).filter(({self}) => self.id !== replica.self.primaryId))
  return {
    args: ['replicate', replica.address, primary.address],
    from: primary.address,
    to: replica.address,
    isOfRoles: true,
    isDone: (pictures) => pictures.some(({self}) => self.id === replica.self.id && self.primaryId === primary.self.id),
  }
}

/** The slots are at the node, or at whoever took over its shard. */
function shardHas(pictures: readonly NodePicture[], id: string, slots: readonly number[]): boolean {
  const owned = new Set(ownedBy(pictures, id))
  return slots.every((slot) => owned.has(slot))
}

function ownedBy(pictures: readonly NodePicture[], id: string): readonly number[] {
  const primary = pictures.find(({self}) => self.id === id)?.self.primaryId ?? id
  return pictures.find(({self}) => self.id === primary)?.self.slots ?? []
}
