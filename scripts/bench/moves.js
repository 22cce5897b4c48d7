// One run of a workload that moves slots: a fresh cluster with its keys, one contender at work, a look at what came of it.
import {setTimeout} from 'node:timers/promises'
import {startCluster} from './cluster.js'
import {checkCommands} from './contenders.js'
import {fillCluster} from './fill.js'
import {SLOTS} from './forming.js'
import {startProbe} from './probe.js'
import {until} from './servers.js'
import {ContenderError, outputTail, runTimed} from './timed-run.js'
import {keyCount} from './workloads.js'

const MOVE_MS = 300_000
const CHECK_MS = 60_000
const COPIED_MS = 30_000
const WARM_UP_MS = 500
const IDLE_MS = 1000
/** rebalance's threshold is 2 %; both stop when all are within it. */
const BALANCE_TOLERANCE = 0.03

/** `measure(contender)` gives what was measured. @throws ContenderError when anything is not as it should be after it. */
export function openMoves({workload, server, rate}, {firstPort, signal}) {
  let digest
  const measure = async (contender) => {
    const cluster = await startCluster(server.serverPath, workload, firstPort, signal)
    let probe
    try {
      await fillCluster(workload.fill, cluster.connections, cluster.ownerOf)
      const before = digest ?? (await digestOf(workload, cluster))
      digest = before
      let idle
      if (rate > 0) {
        probe = await startProbe(cluster.ports, rate)
        await pause(WARM_UP_MS, signal)
        idle = (await probe.during(() => pause(IDLE_MS, signal))).stats
      }
      await cluster.resetStats()
      const command = contender.command(workload.work, cluster, server)
      const move = () => runTimed(command, {folder: cluster.folder, deadlineMs: MOVE_MS, signal})
      const {result, stats} = probe ? await probe.during(move) : {result: await move()}
      const servers = await cluster.stats()
      await requireRight(workload, cluster, {probe, digest: before, signal})
      for (const check of checkCommands(cluster, server)) {
        await runTimed(check, {folder: cluster.folder, deadlineMs: CHECK_MS, signal})
      }
      return {...result, ...servers, client: stats, idleClient: idle}
    } finally {
      probe?.stop()
      await cluster.stop()
    }
  }
  return {repeats: 1, measure, close: async () => {}}
}

async function digestOf({fill}, cluster) {
  const {keys, digest} = await cluster.contents()
  if (keys !== keyCount(fill)) throw new Error(`the cluster was filled with ${keys} keys, not ${keyCount(fill)}`)
  return digest
}

/** @throws ContenderError */
async function requireRight(workload, cluster, {probe, digest, signal}) {
  try {
    await probe?.finish()
    requireShares(workload, cluster, await cluster.slotCounts(signal))
    // A node that lost its last slot becomes a replica, and first has to copy.
    await until('all replicas have copied', COPIED_MS, signal, () => cluster.isAgreed())
    const after = await cluster.contents()
    const wanted = keyCount(workload.fill)
    if (after.keys !== wanted) throw new Error(`${after.keys} keys are there, not ${wanted}`)
    if (after.digest !== digest) throw new Error('the keys or their values are not what they were')
  } catch (error) {
    throw new ContenderError(`it said that all is well, but ${error.message}:\n${outputTail(cluster.folder)}`)
  }
}

function requireShares({work, primaries, newcomers}, cluster, slots) {
  if (work.kind === 'reshard') {
    const [from, to] = [0, 1].map((n) => slotsOf(cluster, n))
    const wanted = [from - work.slots, to + work.slots]
    if (slots[0] !== wanted[0] || slots[1] !== wanted[1]) {
      throw new Error(`slots are ${slots.join(', ')}; the first two should be ${wanted.join(', ')}`)
    }
    return
  }
  const stay = primaries + newcomers - (work.emptied ?? 0)
  const share = SLOTS / stay
  // Behind those that stay come the emptied ones and the replicas.
  const isRight = (count, n) => (n < stay ? Math.abs(count - share) <= share * BALANCE_TOLERANCE : count === 0)
  if (!slots.every(isRight)) throw new Error(`slots are ${slots.join(', ')}, which is not balanced`)
}

function slotsOf(cluster, node) {
  let count = 0
  for (let slot = 0; slot < SLOTS; slot++) if (cluster.ownerOf(slot) === node) count++
  return count
}

function pause(ms, signal) {
  return setTimeout(ms, undefined, {signal})
}
