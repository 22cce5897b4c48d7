/** What does CLUSTER SLOT-STATS say? Its reply as values; errors for what is none. Pure. */
import type {SlotStats} from '../engine/cluster-port.ts'
import {isSlot} from '../slots/slot.ts'
import type {Reply} from './replies.ts'
import {countIn, listIn, textIn} from './reply-shapes.ts'

/**
 * [slot, [name, value, …]] for each (Valkey 8, Redis 8.2). Without cluster-slot-stats-enabled key-count is all there is;
 * Redis tells memory-bytes too, Valkey does not. Names that a later server may add are passed over.
 */
export function parseSlotStats(reply: Reply): SlotStats[] {
  return listIn(reply).map((entry) => {
    const [number, told] = listIn(entry)
    const slot = countIn(number)
    if (!isSlot(slot)) throw new Error(`it should be slots, and ${slot} is none`)
    const words = listIn(told)
    const values = new Map<string, number>()
    for (let at = 0; at + 1 < words.length; at += 2) {
      const name = textIn(words[at])
      if (NAMES.has(name)) values.set(name, countIn(words[at + 1]))
    }
    const bytesIn = values.get('network-bytes-in')
    const bytesOut = values.get('network-bytes-out')
    return {
      slot,
      keys: countIn(values.get('key-count')),
      memoryBytes: values.get('memory-bytes'),
      cpuMicroseconds: values.get('cpu-usec'),
      networkBytes: bytesIn === undefined || bytesOut === undefined ? undefined : bytesIn + bytesOut,
    }
  })
}

const NAMES: ReadonlySet<string> = new Set([
  'key-count',
  'memory-bytes',
  'cpu-usec',
  'network-bytes-in',
  'network-bytes-out',
])
