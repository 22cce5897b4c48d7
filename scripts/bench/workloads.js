// What is measured? One entry a workload; nothing else has to know it.
//
//   primaries   with the slots shared out evenly; `newcomers` more have none
//   fill        `keys` of `bytes` (kind: text or random) over `slots` slots from 0 on
//   move        reshard: that many slots from the first primary to the second; rebalance: over all, newcomers too
//   rate        operations a second of the live client, unless the command line says otherwise
//   contenders  names in contenders.js; the first is the measure for the others
const CLIENT_RATE = 2000
const PRIMARIES = 3

export const WORKLOADS = [
  {
    name: 'empty',
    title: '4096 empty slots',
    primaries: PRIMARIES,
    newcomers: 0,
    fill: {keys: 0, bytes: 0, kind: 'text', slots: 4096},
    move: {kind: 'reshard', slots: 4096},
    rate: 0,
    contenders: ['genuine', 'rcluster'],
  },
  {
    name: 'small',
    title: '200k keys of 100 B in 200 slots',
    primaries: PRIMARIES,
    newcomers: 0,
    fill: {keys: 200_000, bytes: 100, kind: 'text', slots: 200},
    move: {kind: 'reshard', slots: 200},
    rate: CLIENT_RATE,
    contenders: ['genuine', 'genuine-100', 'rcluster'],
  },
  {
    name: 'medium',
    title: '60k keys of 10 KB (random bytes) in 500 slots',
    primaries: PRIMARIES,
    newcomers: 0,
    fill: {keys: 60_000, bytes: 10_240, kind: 'random', slots: 500},
    move: {kind: 'reshard', slots: 500},
    rate: CLIENT_RATE,
    contenders: ['genuine', 'rcluster'],
  },
  {
    name: 'medium-text',
    title: '60k keys of 10 KB (text) in 500 slots',
    primaries: PRIMARIES,
    newcomers: 0,
    fill: {keys: 60_000, bytes: 10_240, kind: 'text', slots: 500},
    move: {kind: 'reshard', slots: 500},
    rate: CLIENT_RATE,
    contenders: ['genuine', 'rcluster'],
    isExtra: true,
  },
  {
    name: 'rebalance',
    title: '1M keys of 100 B, 3 to 6 primaries',
    primaries: PRIMARIES,
    newcomers: 3,
    fill: {keys: 1_000_000, bytes: 100, kind: 'text', slots: 16_384},
    move: {kind: 'rebalance'},
    rate: CLIENT_RATE,
    contenders: ['genuine', 'rcluster'],
  },
]

/** The same with fewer keys. Fewer slots too, where slots are named; keys a slot stay as they are there. */
export function scaled(workload, scale) {
  if (scale === 1) return workload
  const part = (count) => Math.max(1, Math.round(count * scale))
  const {fill, move} = workload
  const isNamed = move.kind === 'reshard'
  return {
    ...workload,
    title: `${workload.title}, scaled to ${scale}`,
    fill: {...fill, keys: Math.round(fill.keys * scale), slots: isNamed ? part(fill.slots) : fill.slots},
    move: isNamed ? {...move, slots: part(move.slots)} : move,
  }
}
