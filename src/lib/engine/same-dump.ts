/** Is what two nodes dump of a key the same value, for the same time to come? Reads only. */
import type {NodePort} from './cluster-port.ts'
import type {LoadableKey} from './load-outcome.ts'
import {mapBounded} from './waiting.ts'

/** unknown: the serialised forms differ, and nothing else of such a value can be read. */
export type Comparison = 'same' | 'different' | 'gone' | 'unknown'

const COMPARED_AT_ONCE = 16
/** Clocks of nodes, and the time between two questions. */
const LIFE_TOLERANCE_MS = 2000

/** The payload's last ten bytes are the version of its format and a checksum. */
const FOOTER_BYTES = 10

export function haveSameBody(a: Buffer, b: Buffer): boolean {
  return a.subarray(0, -FOOTER_BYTES).equals(b.subarray(0, -FOOTER_BYTES))
}

export async function comparePayloads(keys: readonly LoadableKey[], node: NodePort): Promise<readonly Comparison[]> {
  const clockMs = (await node.readClock()) ?? Date.now()
  return mapBounded(keys, COMPARED_AT_ONCE, async ({key, database, payload, expiresAtMs}) => {
    const theirs = await node.dumpKey(key, database)
    if (!theirs) return 'gone'
    const theirEndMs = theirs.ttlMs === undefined ? undefined : clockMs + theirs.ttlMs
    return haveSameBody(payload, theirs.payload) && haveSameLife(expiresAtMs, theirEndMs) ? 'same' : 'different'
  })
}

/** Both in milliseconds of the same clock, or undefined for ever. */
export function haveSameLife(a: number | undefined, b: number | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return Math.abs(a - b) <= LIFE_TOLERANCE_MS
}
