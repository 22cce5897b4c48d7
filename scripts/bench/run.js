// One run: a fresh cluster with the workload's keys, one contender at work, a look at what came of it.

import {setTimeout} from 'node:timers/promises'
import {startCluster} from './cluster.js'
import {checkCommands} from './contenders.js'
import {fillCluster} from './fill.js'
import {startProbe} from './probe.js'
import {runTimed} from './timed-run.js'

const MOVE_MS = 300_000
const CHECK_MS = 60_000
const WARM_UP_MS = 500
const IDLE_MS = 1000
const SETTLE_MS = 5000
/** rebalance's threshold is 2 %; both stop when all are within it. */
const BALANCE_TOLERANCE = 0.03

/**
 * @param digests digest of each workload's keys; filled by its first run
 * @returns what was measured
 * @throws Error when anything is not as it should be afterwards
 */
export async function measure({workload, contender, server, rate, firstPort, digests, signal}) {
  const cluster = await startCluster(server.serverPath, workload, firstPort, signal)
  const env = environment(cluster.folder)
  let probe
  try {
    await fillCluster(workload.fill, cluster.connections, cluster.ownerOf)
    const digest = digests.get(workload.name) ?? (await cluster.digest())
    digests.set(workload.name, digest)
    let idle
    if (rate > 0) {
      probe = await startProbe(cluster.ports, rate)
      await pause(WARM_UP_MS, signal)
      idle = (await probe.during(() => pause(IDLE_MS, signal))).stats
    }
    await cluster.resetStats()
    const command = contender.command(workload.move, cluster, server)
    const work = () => runTimed(command, {folder: cluster.folder, env, deadlineMs: MOVE_MS, signal})
    const {result, stats} = probe ? await probe.during(work) : {result: await work()}
    const servers = await cluster.stats()
    await probe?.finish()
    await requireRight(workload, cluster, digest, signal)
    for (const check of checkCommands(cluster, server)) {
      await runTimed(check, {folder: cluster.folder, env, deadlineMs: CHECK_MS, signal})
    }
    return {...result, ...servers, client: stats, idleClient: idle}
  } finally {
    probe?.stop()
    await cluster.stop()
  }
}

/** What a person has set for other clusters must not lead the contenders astray. */
function environment(stateHome) {
  const env = {...process.env, XDG_STATE_HOME: stateHome, NO_COLOR: '1'}
  for (const name of ['RCLUSTER_SEED', 'RCLUSTER_PASSWORD', 'REDISCLI_AUTH', 'VALKEYCLI_AUTH', 'NODE_OPTIONS']) {
    delete env[name]
  }
  return env
}

async function requireRight({fill, move, primaries, newcomers}, cluster, digest, signal) {
  const slots = await settledSlotCounts(cluster, signal)
  if (move.kind === 'reshard') {
    const before = [0, 1].map((n) => slotsOf(cluster, n))
    const wanted = [before[0] - move.slots, before[1] + move.slots]
    if (slots[0] !== wanted[0] || slots[1] !== wanted[1]) {
      throw new Error(`slots are ${slots.join(', ')}; the first two should be ${wanted.join(', ')}`)
    }
  } else {
    const share = 16_384 / (primaries + newcomers)
    if (slots.some((count) => Math.abs(count - share) > share * BALANCE_TOLERANCE)) {
      throw new Error(`slots are ${slots.join(', ')}, which is not balanced`)
    }
  }
  const keys = (await cluster.keyCounts()).reduce((sum, count) => sum + count, 0)
  if (keys !== fill.keys) throw new Error(`${keys} keys are there, not ${fill.keys}`)
  if ((await cluster.digest()) !== digest) throw new Error('the keys or their values are not what they were')
}

function slotsOf(cluster, node) {
  let count = 0
  for (let slot = 0; slot < 16_384; slot++) if (cluster.ownerOf(slot) === node) count++
  return count
}

/** The genuine CLI leaves the last word to gossip. */
async function settledSlotCounts(cluster, signal) {
  const endsAt = performance.now() + SETTLE_MS
  for (;;) {
    try {
      return await cluster.slotCounts()
    } catch (error) {
      if (performance.now() > endsAt) throw error
      await pause(50, signal)
    }
  }
}

function pause(ms, signal) {
  return setTimeout(ms, undefined, {signal})
}
