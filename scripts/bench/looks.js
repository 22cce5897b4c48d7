// Runs of a workload that changes nothing: all contenders look at the same cluster.
import {startCluster} from './cluster.js'
import {runTimed} from './timed-run.js'

const LOOK_MS = 60_000

/** `measure(contender)` gives what was measured. @throws ContenderError when it fails. */
export async function openLooks({workload, server}, {firstPort, signal}) {
  const cluster = await startCluster(server.serverPath, workload, firstPort, signal)
  const {folder} = cluster
  const measure = (contender) =>
    runTimed(contender.command(workload.work, cluster, server), {folder, deadlineMs: LOOK_MS, signal})
  return {repeats: workload.work.looks, measure, close: () => cluster.stop()}
}
