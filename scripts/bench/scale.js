// What does the largest cluster cost us? Views are read, merged and judged, and plans are made, without a server: a thousand nodes do
// not fit on one machine. Processor time, the best of three: other work on the machine shows least in that.
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {build} from 'esbuild'

const SLOTS = 16_384
const ZONES = 3
/** What each part may take. */
const LIMIT_SECONDS = 2

/** What programs cannot import: straight from the source. */
const EXPORTS = `
export {examine} from './src/lib/findings/examine.ts'
export {inspect} from './src/lib/findings/inspect.ts'
export {requireFitForMoves} from './src/lib/findings/require.ts'
export {planCreate} from './src/lib/plan/create.ts'
export {planEvacuate} from './src/lib/plan/evacuate.ts'
export {planJoin} from './src/lib/plan/join.ts'
export {planRebalance} from './src/lib/plan/rebalance.ts'
export {planRemoval} from './src/lib/plan/removal.ts'
export {planRepairs} from './src/lib/plan/repair.ts'
export {planReshard} from './src/lib/plan/reshard.ts'
export {sketchCluster} from './src/lib/plan/cluster-sketch.ts'
export {isSettled} from './src/lib/engine/settle.ts'
export {mergeViews} from './src/lib/topology/merge-views.ts'
export {parseNodes} from './src/lib/topology/parse-nodes.ts'
export {parseServerInfo} from './src/lib/topology/parse-info.ts'
`

/** @returns rows of {cluster, part, seconds, isOk} */
export async function measureScale(root, nodeCount, onRow) {
  const lib = await load(root)
  const rows = []
  for (const [cluster, trouble] of Object.entries(CLUSTERS)) {
    const time = (part, work) => {
      let [best, result] = [Number.POSITIVE_INFINITY, undefined]
      for (let round = 0; round < 3; round++) {
        const start = process.cpuUsage()
        result = work()
        const {user, system} = process.cpuUsage(start)
        best = Math.min(best, (user + system) / 1e6)
      }
      const row = {cluster, part, seconds: best, isOk: best < LIMIT_SECONDS}
      rows.push(row)
      onRow?.(row)
      return result
    }
    measureOne(lib, nodeCount, trouble, time)
  }
  return rows
}

const CLUSTERS = {
  healthy: {open: 0, dead: 0, cutOff: 0, late: 0, moved: 0},
  // A tenth of the nodes dead, another tenth without a way to them, 500 slots open, 50 views that are behind on 500 slots.
  troubled: {open: 500, dead: 0.1, cutOff: 0.1, late: 50, moved: 500},
}

function measureOne(lib, nodeCount, trouble, time) {
  const world = describe(nodeCount, trouble)
  const texts = world.reached.map((node) => nodesText(world, node))
  const read = () => texts.map((text) => lib.parseNodes(text))
  read()
  const entries = time('read all CLUSTER NODES', read)
  const views = world.reached.map((node, index) => viewOf(lib, world, node, entries[index]))
  const unreachable = new Map(
    world.nodes.flatMap(({id, isDead}) =>
      isDead ? [[id, {failure: 'refused', message: 'nothing listens there'}]] : [],
    ),
  )
  const look = () => lib.mergeViews({seedId: world.reached[0].id, views, unreachable})
  const topology = time('merge the views', look)
  // A look of its own each: what is remembered of a topology must not flatter the second part.
  time('inspect', () => lib.inspect(look()))
  time('check', () => lib.examine(look(), detailsOf(world)))
  time('is it settled?', () => lib.isSettled(look()))
  time('sketch', () => lib.sketchCluster(look()))
  const started = topology.openSlots.flatMap(({slot, migrating: [mark]}) =>
    mark ? [{slot, from: mark.node, to: mark.to}] : [],
  )
  const owners = topology.shards.map(({primary}) => primary.id)
  const [first, second] = owners
  const weights = new Map(owners.map((id, index) => [id, index % 7]))
  time('plan rebalance', () => lib.planRebalance(look(), {useEmpty: true, started}))
  time('plan rebalance by weights', () => lib.planRebalance(look(), {weights, started}))
  const free = world.nodes.filter(({slots, isDead}) => slots?.length > 0 && !isDead).length
  time('plan reshard', () => lib.planReshard(look(), {from: 'all', to: first, count: free * 4}, started))
  const victims = owners.filter((id) => !started.some(({to}) => to === id) && id !== second).slice(0, 100)
  time('plan evacuate 100', () => lib.planEvacuate(look(), {victims, started}))
  const newcomers = Array.from({length: 100}, (_, n) => ({
    id: idOf(5000 + n),
    address: {host: '10.9.9.9', port: 7000 + n},
  }))
  time('plan join 100 replicas', () => lib.planJoin(look(), {newcomers, role: 'replica'}))
  const replicas = topology.nodes.filter(({role}) => role === 'replica').map(({id}) => id)
  time('plan removal of 100', () => lib.planRemoval(look(), {victims: replicas.slice(0, 100)}))
  const keysBySlot = new Map(
    topology.openSlots.map(({slot, migrating: [mark]}) => [
      slot,
      new Map(
        mark
          ? [
              [mark.node, 5],
              [mark.to, 3],
            ]
          : [],
      ),
    ]),
  )
  time('plan repairs', () => lib.planRepairs(look(), {keysBySlot, hiddenKeys: new Map()}, {intended: started}))
  if (trouble.dead > 0) return
  for (const replicasEach of [0, 1, 2, 4]) {
    time(`plan create, ${replicasEach} replicas`, () =>
      lib.planCreate({nodes: placeable(nodeCount, 100), replicas: replicasEach}),
    )
  }
  time('plan create, 8 hosts', () => lib.planCreate({nodes: placeable(nodeCount, 8), replicas: 2}))
  time('plan create, uneven', () => lib.planCreate({nodes: placeable(nodeCount, 100, true), replicas: 2}))
}

/** Slots go round among the primaries: no two neighbours have one owner. */
function describe(nodeCount, {open, dead, cutOff, late, moved}) {
  const primaryCount = nodeCount / 2
  const nodes = Array.from({length: nodeCount}, (_, n) => ({
    n,
    id: idOf(n),
    place: `10.0.${n >> 6}.1:${7000 + (n & 63)}`,
    zone: `zone-${n % ZONES}`,
    primary: n < primaryCount ? undefined : n - primaryCount,
    slots: n < primaryCount ? [] : undefined,
    marks: [],
    isDead: n >= primaryCount && n < primaryCount + nodeCount * dead,
    isCutOff: n >= nodeCount - nodeCount * cutOff,
    isLate: n < late,
  }))
  for (let slot = 0; slot < SLOTS; slot++) nodes[slot % primaryCount].slots.push(slot)
  for (let k = 0; k < open; k++) {
    const slot = k * 7
    const [from, to] = [nodes[slot % primaryCount], nodes[(slot + 1) % primaryCount]]
    from.marks.push(`[${slot}->-${to.id}]`)
    to.marks.push(`[${slot}-<-${from.id}]`)
  }
  return {nodes, reached: nodes.filter(({isDead}) => !isDead), moved}
}

function nodesText({nodes, moved}, sayer) {
  return nodes
    .map((node) => {
      const isMyself = node === sayer
      const flags = [
        ...(isMyself ? ['myself'] : []),
        node.primary === undefined ? 'master' : 'slave',
        ...(node.isDead ? ['fail'] : []),
        ...(node.isCutOff && sayer.isCutOff !== node.isCutOff ? ['fail?'] : []),
      ].join()
      const primary = node.primary === undefined ? '-' : nodes[node.primary].id
      const epoch = (node.primary ?? node.n) + 1
      const link = node.isDead || (sayer.isCutOff !== node.isCutOff && !isMyself) ? 'disconnected' : 'connected'
      // Who is late has not heard that some slots went to the next node.
      const slots = (node.slots ?? []).filter(
        (slot) => !(sayer.isLate && node !== sayer && slot < moved && node.n % 2 === 0),
      )
      const words = [...slots, ...(isMyself ? node.marks : [])].join(' ')
      return `${node.id} ${node.place}@${17_000 + (node.n & 63)} ${flags} ${primary} 0 ${1_700_000_000_000 + ((node.n * 7919 + sayer.n * 104_729) % 1e6)} ${epoch} ${link}${words === '' ? '' : ` ${words}`}`
    })
    .join('\n')
}

function viewOf(lib, {nodes}, node, entries) {
  const port = 7000 + (node.n & 63)
  return {
    id: node.id,
    dialled: {host: node.place.split(':')[0], port},
    entries,
    clusterInfo: {state: 'ok', knownNodes: nodes.length, currentEpoch: nodes.length, myEpoch: node.n + 1},
    serverInfo: lib.parseServerInfo(
      `redis_version:7.0.15\r\ncluster_enabled:1\r\nloading:0\r\nused_memory:1000000\r\nmaxmemory:0\r\nrole:${node.primary === undefined ? 'master' : 'slave'}\r\nmaster_link_status:up\r\navailability_zone:${node.zone}\r\n`,
    ),
  }
}

function detailsOf({reached}) {
  const settings = new Map([
    ['cluster-node-timeout', '15000'],
    ['maxmemory', '0'],
    ['appendonly', 'no'],
    ['save', ''],
  ])
  const others = new Map([...settings, ['cluster-node-timeout', '5000']])
  const users = new Map([['default', 'on nopass ~* &* +@all']])
  return {
    nodes: new Map(
      reached.map(({id, n}) => [
        id,
        {settings: {value: n % 10 === 0 ? others : settings}, libraries: {value: new Map()}, users: {value: users}},
      ]),
    ),
    orphanKeys: undefined,
  }
}

/** On so many hosts in three zones; unevenly: the first host has a third of the nodes. */
function placeable(count, hosts, isUneven = false) {
  return Array.from({length: count}, (_, n) => {
    const host = isUneven && n % 3 === 0 ? 0 : n % hosts
    return {id: idOf(n), address: {host: `10.0.0.${host}`, port: 7000 + n}, zone: `zone-${host % ZONES}`}
  })
}

function idOf(n) {
  return ((n * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0').repeat(5)
}

async function load(root) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-scale-'))
  const outfile = path.join(folder, 'scale.mjs')
  try {
    await build({
      stdin: {contents: EXPORTS, resolveDir: root, loader: 'ts'},
      ...{bundle: true, format: 'esm', platform: 'node', outfile, logLevel: 'warning', absWorkingDir: root},
    })
    return await import(outfile)
  } finally {
    rmSync(folder, {recursive: true, force: true})
  }
}
