// What is measured? One entry a workload; nothing else has to know it.
//
//   primaries   with the slots shared out evenly; `newcomers` more have none; each of both has `replicas`
//   settings    of the servers, beside those of every workload
//   fill        `keys` of `bytes` (kind: text or random) over `slots` slots from 0 on, and `collections`, one
//               {kind, count, elements} a kind (a string's elements are its bytes)
//   work        reshard: that many slots from the first primary to the second
//               rebalance: over all, newcomers too, or off the last `emptied` ones, where there are no replicas
//               create: of servers that know nothing of each other; check, version: a look, `looks` a round
//   rate        operations a second of the live client, unless the command line says otherwise
//   contenders  names in contenders.js; the first is the measure for the others
const CLIENT_RATE = 2000
const SLOTS = 16_384
const NOTHING = {keys: 0, bytes: 0, kind: 'text', slots: SLOTS}
const MOVERS = ['genuine', 'genuine-atomic', 'rcluster']
const ALL_MOVERS = ['genuine', 'genuine-100', 'genuine-atomic', 'rcluster', 'rcluster-migrate', 'rcluster-fast']
const LOOKS = 5

const PAIR = {primaries: 3, newcomers: 0, replicas: 0, rate: CLIENT_RATE, contenders: MOVERS}
const GROWING = {...PAIR, newcomers: 3, work: {kind: 'rebalance'}}

export const WORKLOADS = [
  {
    ...PAIR,
    name: 'empty',
    title: '4096 empty slots',
    fill: {...NOTHING, slots: 4096},
    work: {kind: 'reshard', slots: 4096},
    rate: 0,
    contenders: ['genuine', 'genuine-atomic', 'rcluster', 'rcluster-migrate'],
  },
  {
    ...PAIR,
    name: 'empty-replicas',
    title: '1000 empty slots, a replica for each primary',
    replicas: 1,
    fill: {...NOTHING, slots: 1000},
    work: {kind: 'reshard', slots: 1000},
    rate: 0,
    contenders: ['genuine', 'genuine-atomic', 'rcluster', 'rcluster-migrate'],
  },
  {
    ...PAIR,
    name: 'small',
    title: '200k keys of 100 B in 200 slots',
    fill: {keys: 200_000, bytes: 100, kind: 'text', slots: 200},
    work: {kind: 'reshard', slots: 200},
    contenders: ALL_MOVERS,
  },
  {
    ...PAIR,
    name: 'sparse',
    title: '160k keys of 100 B in 4000 slots',
    fill: {keys: 160_000, bytes: 100, kind: 'text', slots: 4000},
    work: {kind: 'reshard', slots: 4000},
    contenders: ALL_MOVERS,
  },
  {
    ...PAIR,
    name: 'kilobyte',
    title: '100k keys of 1 KB (text) in 200 slots',
    fill: {keys: 100_000, bytes: 1024, kind: 'text', slots: 200},
    work: {kind: 'reshard', slots: 200},
  },
  {
    ...PAIR,
    name: 'medium',
    title: '60k keys of 10 KB (random bytes) in 500 slots',
    fill: {keys: 60_000, bytes: 10_240, kind: 'random', slots: 500},
    work: {kind: 'reshard', slots: 500},
  },
  {
    ...PAIR,
    name: 'medium-text',
    title: '60k keys of 10 KB (text) in 500 slots',
    fill: {keys: 60_000, bytes: 10_240, kind: 'text', slots: 500},
    work: {kind: 'reshard', slots: 500},
    isExtra: true,
  },
  {
    ...PAIR,
    name: 'big',
    title: '6 hashes and 4 sorted sets of 100k, 2 lists of 1M, 4 strings of 50 MB, 2000 small keys in 20 slots',
    fill: {
      ...{keys: 2000, bytes: 100, kind: 'text', slots: 20},
      collections: [
        {kind: 'hash', count: 6, elements: 100_000},
        {kind: 'zset', count: 4, elements: 100_000},
        {kind: 'list', count: 2, elements: 1_000_000},
        {kind: 'string', count: 4, elements: 50_000_000},
      ],
    },
    work: {kind: 'reshard', slots: 20},
  },
  {
    ...GROWING,
    name: 'rebalance-1-4',
    title: '300k keys of 100 B, 1 to 4 primaries',
    primaries: 1,
    fill: {keys: 300_000, bytes: 100, kind: 'text', slots: SLOTS},
  },
  {
    ...GROWING,
    name: 'rebalance',
    title: '1M keys of 100 B, 3 to 6 primaries',
    fill: {keys: 1_000_000, bytes: 100, kind: 'text', slots: SLOTS},
  },
  {
    ...GROWING,
    name: 'rebalance-10k',
    title: '60k keys of 10 KB (random bytes), 3 to 6 primaries',
    fill: {keys: 60_000, bytes: 10_240, kind: 'random', slots: SLOTS},
  },
  {
    ...PAIR,
    name: 'rebalance-6-3',
    title: '300k keys of 100 B, 6 to 3 primaries',
    primaries: 6,
    fill: {keys: 300_000, bytes: 100, kind: 'text', slots: SLOTS},
    work: {kind: 'rebalance', emptied: 3},
    // A primary that lost its last slot would become a replica, at which the genuine CLI gives up before the second one
    // is empty.
    settings: {'cluster-allow-replica-migration': 'no'},
  },
  {
    ...GROWING,
    name: 'rebalance-replicas',
    title: '100k keys of 100 B, 3 to 4 primaries, a replica for each',
    newcomers: 1,
    replicas: 1,
    fill: {keys: 100_000, bytes: 100, kind: 'text', slots: SLOTS},
  },
  ...[6, 30, 60, 120].map((nodes) => ({
    name: `create-${nodes}`,
    title: `create of ${nodes} nodes, a replica for each primary`,
    work: {kind: 'create', nodes, replicas: 1},
    rate: 0,
    contenders: ['genuine', 'rcluster'],
  })),
  ...[6, 30, 60, 120].map((nodes) => look('check', `check-${nodes}`, `check of ${nodes} nodes`, nodes)),
  look('version', 'version', '--version', 1),
]

function look(kind, name, title, nodes) {
  return {
    ...{name, title, primaries: nodes, newcomers: 0, replicas: 0, rate: 0},
    work: {kind, looks: LOOKS},
    contenders: ['genuine', 'rcluster', 'node'],
  }
}

/** By its name, or all of a family: `create` is create-6, create-30, … */
export function workloadsNamed(word) {
  const exact = WORKLOADS.filter(({name}) => name === word)
  return exact.length > 0 ? exact : WORKLOADS.filter(({name}) => name.startsWith(`${word}-`))
}

export function isMove({work}) {
  return work.kind === 'reshard' || work.kind === 'rebalance'
}

export function keyCount({keys, collections = []}) {
  return collections.reduce((sum, {count}) => sum + count, keys)
}

/** The same with fewer keys. Fewer slots too, where slots are named; keys a slot stay as they are there. */
export function scaled(workload, scale) {
  if (scale === 1 || !isMove(workload)) return workload
  const part = (count) => Math.max(1, Math.round(count * scale))
  const {fill, work} = workload
  const isNamed = work.kind === 'reshard'
  const slots = isNamed ? part(fill.slots) : fill.slots
  const collections = fill.collections?.map((one) => ({...one, elements: part(one.elements)}))
  return {
    ...workload,
    title: `${workload.title}, scaled to ${scale}`,
    fill: {...fill, keys: Math.round(fill.keys * scale), slots, ...(collections ? {collections} : {})},
    work: isNamed ? {...work, slots: part(work.slots)} : work,
  }
}
