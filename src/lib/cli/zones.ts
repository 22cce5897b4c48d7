/** Which zones do the flags of a command, and their file, name? */
import {readFileSync} from 'node:fs'
import * as Flags from '@oclif/core/flags'
import type {Newcomer} from '../engine/newcomers.ts'
import {UsageError} from '../errors.ts'
import type {PlaceableNode} from '../plan/placement.ts'
import type {Topology} from '../topology/model.ts'
import {withZones, type ZoneLabel, zonesByLabel} from '../topology/zone-labels.ts'
import {list} from './flags.ts'

export const zoneFlags = {
  zone: list({
    summary: 'The zone (rack, data centre) of a node, or of all nodes on a host; may repeat.',
    helpValue: 'NODE=ZONE',
  }),
  'zones-file': Flags.string({
    summary: 'Zones of nodes: lines "NODE ZONE", or a JSON object. --zone counts more, and both more than the servers.',
    helpValue: 'FILE',
    env: 'RCLUSTER_ZONES_FILE',
  }),
}

export interface ZoneFlags {
  readonly zone?: readonly string[] | undefined
  readonly 'zones-file'?: string | undefined
}

const MOST_BYTES = 2 ** 22

/** Those of the file first. @throws UsageError that names the flag, and the line of the file. */
export function readZoneLabels({zone = [], 'zones-file': file}: ZoneFlags): ZoneLabel[] {
  const ofFile = file === undefined ? [] : parseZones(readText(file), `--zones-file ${file}`)
  const ofFlags = zone.map((entry): ZoneLabel => {
    const at = entry.lastIndexOf('=')
    if (at < 1 || at === entry.length - 1) {
      throw new UsageError(`--zone "${entry}" is not NODE=ZONE`, {
        suggestions: ['For example: --zone 10.0.0.1:6379=eu-1a'],
      })
    }
    return {node: entry.slice(0, at), zone: entry.slice(at + 1), isRequired: true}
  })
  const twice = ofFlags.find(({node, zone: its}) => ofFlags.some((one) => one.node === node && one.zone !== its))
  if (twice) throw new UsageError(`--zone gives ${twice.node} two zones`)
  return [...ofFile, ...ofFlags]
}

/**
 * Nodes that no node knows yet: labels may name them by the address at which we reach them.
 * @throws UsageError for a label of a flag that fits none of them.
 */
export function placeableNewcomers(newcomers: readonly Newcomer[], labels: readonly ZoneLabel[]): PlaceableNode[] {
  const nodes = newcomers.map(({port, view}) => ({id: port.id, address: port.address, view}))
  const zones = zonesByLabel(nodes, labels)
  return nodes.map(({id, address, view}) => ({
    id,
    address,
    zone: zones.get(id) ?? view.serverInfo.availabilityZone,
  }))
}

/**
 * Members, and nodes that are to join them.
 * @throws UsageError for a label of a flag that fits none of them.
 */
export function zonesOfJoin(
  topology: Topology,
  newcomers: readonly Newcomer[],
  labels: readonly ZoneLabel[],
): {topology: Topology; newcomers: PlaceableNode[]} {
  zonesByLabel([...topology.nodes, ...newcomers.map(({port: {id, address}}) => ({id, address}))], labels)
  const optional = labels.map((label) => ({...label, isRequired: false}))
  return {topology: withZones(topology, optional), newcomers: placeableNewcomers(newcomers, optional)}
}

/** @throws UsageError; `name` is what the text is called in it. */
export function parseZones(text: string, name: string): ZoneLabel[] {
  if (/^\s*\{/.test(text)) return parseObject(text, name)
  return text.split(/\r?\n/).flatMap((line, index): ZoneLabel[] => {
    const words = line.replace(/(^|\s)#.*$/, '').trim()
    if (words === '') return []
    const [node, zone, more] = words.split(/\s+/)
    if (node !== undefined && zone !== undefined && more === undefined) return [{node, zone, isRequired: false}]
    throw new UsageError(`${name}: line ${index + 1} is not "NODE ZONE"`)
  })
}

function parseObject(text: string, name: string): ZoneLabel[] {
  let zones: unknown
  try {
    zones = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${name} is not JSON: ${(error as Error).message}`)
  }
  return Object.entries(zones as object).map(([node, zone]): ZoneLabel => {
    if (typeof zone === 'string' && zone !== '') return {node, zone, isRequired: false}
    throw new UsageError(`${name}: the zone of "${node}" is no text`)
  })
}

function readText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length > MOST_BYTES) throw new Error('it is too large')
    return text
  } catch (error) {
    throw new UsageError(`--zones-file ${file} cannot be read: ${(error as Error).message}`, {cause: error})
  }
}
