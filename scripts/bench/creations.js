// One run of a workload that makes a cluster out of strangers: servers, one contender at work, and what it left for the
// nodes to agree on by themselves.
import {setTimeout} from 'node:timers/promises'
import {startStrangers} from './cluster.js'
import {checkCommands} from './contenders.js'
import {until} from './servers.js'
import {ContenderError, runTimed} from './timed-run.js'

const CREATE_MS = 180_000
const CHECK_MS = 60_000
const SERVING_MS = 120_000
/** A primary that has just started says for two seconds that the cluster is down, whatever is done. */
const UP_MS = 3000

/** `measure(contender)` gives what was measured. @throws ContenderError when anything is not as it should be after it. */
export function openCreations({workload: {work}, server}, {firstPort, signal}) {
  const measure = async (contender) => {
    const cluster = await startStrangers(server.serverPath, work.nodes, firstPort, signal)
    const run = (command, deadlineMs) => runTimed(command, {folder: cluster.folder, deadlineMs, signal})
    try {
      await setTimeout(UP_MS, undefined, {signal})
      await cluster.resetStats()
      const result = await run(contender.command(work, cluster, server), CREATE_MS)
      const endedAt = performance.now()
      await requireSoon('all nodes serve', signal, () => cluster.isServing())
      const settleSeconds = (performance.now() - endedAt) / 1000
      const {serversCpuSeconds} = await cluster.stats()
      await requireSoon('all nodes agree', signal, () => cluster.isAgreed())
      await requireReplicas(cluster, work)
      for (const check of checkCommands(cluster, server)) await run(check, CHECK_MS)
      return {...result, settleSeconds, serversCpuSeconds}
    } finally {
      await cluster.stop()
    }
  }
  return {repeats: 1, measure, close: async () => {}}
}

async function requireSoon(what, signal, holds) {
  try {
    await until(what, SERVING_MS, signal, holds)
  } catch (error) {
    throw new ContenderError(error.message)
  }
}

async function requireReplicas(cluster, {nodes, replicas}) {
  const wanted = nodes - Math.floor(nodes / (1 + replicas))
  const roles = await cluster.askAll('ROLE')
  const count = roles.filter(([role]) => role === 'slave').length
  if (count !== wanted) throw new ContenderError(`${count} nodes are replicas, not ${wanted}`)
}
