/** How do nodes come to send clients to the addresses at which they were named? Set, seen everywhere, kept in their files. */
import {lookup} from 'node:dns/promises'
import {isIP} from 'node:net'
import {InterruptedError} from '../errors.ts'
import {ANNOUNCE_SETTINGS, type AnnounceFacts, ENDPOINT_TYPE} from '../plan/announce.ts'
import type {Announcement} from '../plan/plan.ts'
import {isSameAddress} from '../topology/inside-address.ts'
import {formatAddress, type NodeAddress, type NodeView} from '../topology/model.ts'
import type {NodePort, ToldPlace} from './cluster-port.ts'
import {restoreSettings} from './hold-setting.ts'
import {keepSettings} from './keep-setting.ts'
import type {MeetPoint} from './membership.ts'
import type {Newcomer} from './newcomers.ts'
import type {Stages} from './stages.ts'
import {mapBounded, pollUntil} from './waiting.ts'

/** A setting of one node, as it was. */
interface SettingBefore {
  readonly node: NodePort
  readonly name: string
  readonly before: string
}

export interface AnnouncedNode {
  readonly address: string
  /** Why it is not in the node's file, and lasts until the node restarts; undefined when it is. */
  readonly isLostBecause: string | undefined
}

/** @throws NodeError 'permission' where our user may not CONFIG GET. */
export async function readAnnounceFacts(nodes: readonly Newcomer[]): Promise<AnnounceFacts[]> {
  return mapBounded(nodes, 64, async ({port, view}) => {
    const values = await Promise.all(ANNOUNCE_SETTINGS.map((name) => port.readConfig(name)))
    const {flavour, version} = view.serverInfo
    return {
      address: port.address,
      ip: await resolve(port.address.host, port.internalAddress),
      internal: port.internalAddress,
      server: `${flavour} ${version}`,
      settings: new Map(
        ANNOUNCE_SETTINGS.flatMap((name, index) => {
          const value = values[index]
          return value === undefined ? [] : [[name, value]]
        }),
      ),
    }
  })
}

/** Of the family by which the node is reached. */
async function resolve(host: string, internal: NodeAddress | undefined): Promise<string | undefined> {
  if (isIP(host) !== 0) return host
  try {
    return (await lookup(host, {family: isIP(internal?.host ?? '')})).address
  } catch {
    return undefined
  }
}

/**
 * Makes the settings on nodes that do not know one another yet, for a way that concerns their bus.
 * @returns where they are to meet, and what puts the settings back.
 */
export async function announceBefore(
  {nodes}: Announcement,
  points: readonly MeetPoint[],
  stages: Stages,
): Promise<{points: MeetPoint[]; undo: () => Promise<void>}> {
  const befores: SettingBefore[] = []
  const undo = (): Promise<void> => restoreSettings(befores.reverse(), stages.listener)
  const settingsAt = new Map(nodes.map(({address, settings}) => [address, settings]))
  try {
    await mapBounded(points, 64, async ({port}) => {
      for (const {name, value} of settingsAt.get(formatAddress(port.address)) ?? []) {
        await set(port, name, value, befores)
      }
    })
  } catch (error) {
    await undo()
    throw error
  }
  const announced = points.map((point): MeetPoint => {
    const settings = settingsAt.get(formatAddress(point.port.address)) ?? []
    const busPort = Number(settings.find(({name}) => name === 'cluster-announce-bus-port')?.value ?? point.busPort)
    return {port: point.port, address: point.port.address, busPort}
  })
  return {points: announced, undo}
}

/**
 * Returns when every node sends clients to the announced address of every other. `ports` are all nodes of a cluster that
 * serves.
 * @throws InterruptedError when they do not get there in time: what was set is put back, unless the nodes depend on it.
 */
export async function announce(
  announcement: Announcement,
  ports: readonly NodePort[],
  stages: Stages,
): Promise<AnnouncedNode[]> {
  stages.begin('Announcing the nodes to clients')
  const settingsAt = new Map(announcement.nodes.map(({address, settings}) => [address, settings]))
  const befores: SettingBefore[] = []
  const make = (isWanted: (name: string) => boolean): Promise<unknown> =>
    mapBounded(ports, 64, async (port) => {
      for (const {name, value} of settingsAt.get(formatAddress(port.address)) ?? []) {
        if (isWanted(name)) await set(port, name, value, befores)
      }
    })
  try {
    await make((name) => name !== ENDPOINT_TYPE)
    if (announcement.way === 'name') {
      // Whoever does not know the hostname of a node yet would send clients to "?".
      await waitUntilAll(ports, stages, ({view}) =>
        view.entries.every(({id, hostname}) => hostname === hostOf(ports, id)),
      )
      await make((name) => name === ENDPOINT_TYPE)
    }
    await waitUntilAll(
      ports,
      stages,
      (told) =>
        ports.every((port) => isToldAt(told, port)) &&
        (announcement.way === 'name' || ports.every((port) => isListedAt(told, port))),
    )
  } catch (error) {
    if (announcement.way !== 'address') await restoreSettings(befores.reverse(), stages.listener)
    throw error
  }
  return mapBounded(ports, 64, async (port) => ({
    address: formatAddress(port.address),
    isLostBecause: await keepSettings(port),
  }))
}

interface Told {
  readonly view: NodeView
  readonly places: ReadonlyMap<string, ToldPlace>
}

async function set(node: NodePort, name: string, value: string, befores: SettingBefore[]): Promise<void> {
  const before = await node.readConfig(name)
  if (before === value) return
  if (before !== undefined) befores.push({node, name, before})
  await node.writeConfig(name, value)
}

/** @throws InterruptedError naming the nodes of which it is not so when the deadline passes. */
async function waitUntilAll(
  ports: readonly NodePort[],
  stages: Stages,
  isWell: (told: Told) => boolean,
): Promise<void> {
  let late: string[] = []
  await pollUntil(
    async () => {
      const verdicts = await mapBounded(ports, 64, async (port) => {
        const [view, places] = await Promise.all([port.readView(), port.readToldPlaces()])
        return isWell({view, places})
      })
      late = ports.filter((_, index) => !verdicts[index]).map(({address}) => formatAddress(address))
      return late.length === 0 ? true : undefined
    },
    {deadlineMs: stages.leftMs, firstIntervalMs: 50, maxIntervalMs: 250, signal: stages.signal},
  )
  if (late.length === 0) return
  stages.signal?.throwIfAborted()
  const more = late.length > 4 ? ` and ${late.length - 4} more` : ''
  throw new InterruptedError(
    `${late.slice(0, 4).join(', ')}${more} did not tell clients the announced addresses in time`,
    {suggestions: ['What clients are told, and what they need: rcluster clients']},
  )
}

function hostOf(ports: readonly NodePort[], id: string): string | undefined {
  return ports.find((port) => port.id === id)?.address.host
}

/** In CLUSTER NODES, by which some clients go. */
function isListedAt({view}: Told, {id, address}: NodePort): boolean {
  const entry = view.entries.find((one) => one.id === id)
  return entry !== undefined && isSameAddress(entry.announced, address)
}

/** Replicas are told of only when they have received something. */
function isToldAt({view, places}: Told, {id, address}: NodePort): boolean {
  const place = places.get(id)
  if (place) return place.host !== undefined && isSameAddress({host: place.host, port: place.port}, address)
  const entry = view.entries.find((one) => one.id === id)
  return entry !== undefined && (entry.role === 'replica' || entry.ranges.length === 0)
}
