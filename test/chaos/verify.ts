/** Is the cluster of a round whole in the end? Read from each server itself. */
import {Redis} from 'ioredis'
import {keySlot} from '../../src/lib/slots/key-slot.ts'
import {compareDigests, type DataSetDigest, digestDataSet, LIVE_PREFIX} from '../support/live-load.ts'
import {eventually, rawCommand, splitAddress} from '../support/servers.ts'
import {type Arrival, type FinalValue, groundsForSlot, labelOf, type Takeover} from './history.ts'
import {isPrimary, readPictures, seenMap} from './picture.ts'
import type {Stage} from './stage.ts'

export type Settings = ReadonlyMap<string, string>

/** All settings of all servers: what rcluster and the faults change is to be as it was. */
export async function readSettings(stage: Stage): Promise<Settings> {
  const settings = new Map<string, string>()
  for (const address of stage.servers.addresses) {
    const words = (await rawCommand(address, ['CONFIG', 'GET', '*'])) as string[]
    for (let at = 0; at < words.length; at += 2) settings.set(`${address} ${words[at]}`, words[at + 1] ?? '')
  }
  return settings
}

/** Set by the servers themselves when they follow another. */
const OF_ROLES = /(replicaof|slaveof)$/

export function changedSettings(before: Settings, after: Settings): string[] {
  return [...before]
    .filter(([name, value]) => !OF_ROLES.test(name) && after.get(name) !== value)
    .map(([name, value]) => `${name} is ${after.get(name)}, and was ${value}`)
}

/** What is wrong with the slots: nothing in the list when all is well. Waits a little for gossip. */
export async function wrongSlots(stage: Stage): Promise<string[]> {
  let found: string[] = []
  const look = async (): Promise<boolean> => {
    const pictures = await readPictures(stage.servers.addresses)
    const members = pictures.filter(({lines}) => lines.length > 1)
    found = []
    if (pictures.length < stage.servers.addresses.length) found.push('a server does not answer')
    for (const {address, self} of members) {
      if (self.marks.length > 0) found.push(`${address} has open slots: ${self.marks.join(' ')}`)
    }
    const owned = members.filter(({self}) => isPrimary(self)).flatMap(({self}) => self.slots)
    if (new Set(owned).size !== 16_384) found.push(`${new Set(owned).size} slots are covered`)
    if (owned.length !== new Set(owned).size) found.push('slots have two owners')
    const maps = new Map(members.map((picture) => [seenMap(picture), picture.address]))
    if (maps.size > 1) found.push(`nodes disagree: ${[...maps.values()].join(', ')}`)
    return found.length === 0
  }
  await eventually('slots in order', look, 8000).catch(() => undefined)
  return found
}

export interface Contents {
  readonly finals: ReadonlyMap<string, FinalValue>
  readonly wrong: readonly string[]
}

/** Every live key with its value, and whatever is where it does not belong. */
export async function readContents(stage: Stage): Promise<Contents> {
  const finals = new Map<string, FinalValue>()
  const wrong: string[] = []
  const primaries = (await readPictures(stage.servers.addresses)).filter(
    ({self, lines}) => isPrimary(self) && lines.length > 1,
  )
  for (const {address, self} of primaries) {
    const own = new Set(self.slots)
    for (let database = 0; database < stage.layout.databases; database++) {
      const client = new Redis({
        ...splitAddress(address),
        ...{db: database, protocol: 2, disableClientInfo: true, enableReadyCheck: false, commandTimeout: 20_000},
      })
      client.on('error', () => {})
      try {
        await readLive(client, own, {address, database}, finals, wrong)
        await countKeys(client, self.slots, {address, database}, wrong)
      } finally {
        client.disconnect()
      }
    }
  }
  return {finals, wrong}
}

interface Place {
  readonly address: string
  readonly database: number
}

async function readLive(
  client: Redis,
  own: ReadonlySet<number>,
  {address, database}: Place,
  finals: Map<string, FinalValue>,
  wrong: string[],
): Promise<void> {
  const seen = new Set<string>()
  let cursor = '0'
  do {
    const [next, keys] = (await client.callBuffer('SCAN', cursor, 'COUNT', 1000)) as [Buffer, Buffer[]]
    cursor = next.toString()
    for (const key of keys) {
      const name = key.toString('latin1')
      if (seen.has(name)) continue
      seen.add(name)
      if (!own.has(keySlot(key))) wrong.push(`${address} holds ${JSON.stringify(name)}, whose slot is another's`)
      if (!name.startsWith(LIVE_PREFIX)) continue
      const [value, life] = await Promise.all([client.call('GET', key), client.call('PTTL', key)])
      if (value === null) continue
      const label = labelOf({key: name, database})
      if (finals.has(label)) wrong.push(`${label} is at ${address} and at another primary`)
      finals.set(label, {value: String(value), lifeMs: Number(life), readMs: Date.now()})
    }
  } while (cursor !== '0')
}

/** Keys that SCAN hides, because their slot is another's, are in DBSIZE still. */
async function countKeys(client: Redis, slots: readonly number[], place: Place, wrong: string[]): Promise<void> {
  let [all, inSlots] = [0, 0]
  const isEqual = async (): Promise<boolean> => {
    const counts = await Promise.all(slots.map((slot) => client.call('CLUSTER', 'COUNTKEYSINSLOT', slot)))
    inSlots = counts.reduce<number>((sum, count) => sum + Number(count), 0)
    all = Number(await client.call('DBSIZE'))
    return all === inSlots
  }
  // Keys that expire go in between.
  await eventually('DBSIZE is the sum of the slots', isEqual, 5000).catch(() => {
    wrong.push(`${place.address} holds ${all} keys in database ${place.database}, and ${inSlots} in its slots`)
  })
}

export async function readDigests(stage: Stage): Promise<DataSetDigest[]> {
  const digests: DataSetDigest[] = []
  for (let database = 0; database < stage.layout.databases; database++) {
    const members = (await readPictures(stage.servers.addresses)).filter(({lines}) => lines.length > 1)
    digests.push(
      await digestDataSet(
        members.map(({address}) => address),
        database,
      ),
    )
  }
  return digests
}

/** What became of the data that nobody wrote to. */
export function wrongData(
  before: readonly DataSetDigest[],
  after: readonly DataSetDigest[],
  takeovers: readonly Takeover[],
  arrivals: readonly Arrival[],
): {readonly failures: readonly string[]; readonly attributed: readonly string[]} {
  const failures: string[] = []
  const attributed: string[] = []
  before.forEach((then, database) => {
    const now = after[database] ?? {keys: new Map(), duplicates: []}
    for (const key of then.keys.keys()) {
      if (now.keys.has(key)) continue
      const grounds = groundsForSlot(keySlot(Buffer.from(key, 'latin1')), takeovers, arrivals)
      const text = `${labelOf({key: JSON.stringify(key), database})} is gone`
      if (grounds === undefined) failures.push(text)
      else attributed.push(`${text}; ${grounds}`)
    }
    const {changed, added, duplicates} = compareDigests(then, now)
    if (changed.length > 0) failures.push(`changed in database ${database}: ${changed.join(' ')}`)
    if (added.length > 0) failures.push(`came from nowhere in database ${database}: ${added.join(' ')}`)
    if (duplicates.length > 0) failures.push(`twice in database ${database}: ${duplicates.join(' ')}`)
  })
  return {failures, attributed}
}
