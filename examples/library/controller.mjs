// A small controller: look, do one thing that is due, look again. Whatever ends it in between, the next round goes on from
// what the nodes say. It mends what can be mended safely, then evens out the slots.
//   node controller.mjs 10.0.0.1:6379 [ROUNDS]
import {ClusterError, connect, inspect, planRebalance} from 'rcluster'

/** @param {import('rcluster').Cluster} cluster */
async function dueNow(cluster) {
  const topology = await cluster.observe()
  const errors = inspect(topology).filter(({severity}) => severity === 'error')
  if (errors.length > 0) {
    const repairs = await cluster.planRepairs()
    // A dead node is nothing that a plan mends: somebody has to start it.
    return repairs.repairs.some(({risk}) => risk === 'safe') ? repairs : undefined
  }
  const plan = planRebalance(topology, {thresholdPercent: 5, useEmpty: true})
  return plan.moves.length > 0 ? plan : undefined
}

const [seed = '', rounds = 'Infinity'] = process.argv.slice(2)
for (let round = 0; round < Number(rounds); round++) {
  try {
    const cluster = await connect({seeds: seed, password: process.env.RCLUSTER_PASSWORD})
    try {
      const plan = await dueNow(cluster)
      console.log(plan ? `doing: ${plan.kind}` : 'nothing to do')
      if (plan) await cluster.run(plan, {name: 'controller', maxPauseMs: 1})
    } finally {
      cluster.close()
    }
  } catch (error) {
    // Refused, cut off, or a node away: told, and tried again in the next round.
    if (!(error instanceof ClusterError)) throw error
    console.error(`${error.code}: ${error.message}`)
  }
  if (round + 1 < Number(rounds)) await new Promise((resolve) => setTimeout(resolve, 10_000))
}
