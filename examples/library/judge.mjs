// Is the cluster fit for work? Prints a line a finding, and ends with 1 when one is an error.
//   node judge.mjs 10.0.0.1:6379
import {connect, countSlots, formatAddress, slotsOf} from 'rcluster'

const cluster = await connect({seeds: process.argv.slice(2), password: process.env.RCLUSTER_PASSWORD})
try {
  const topology = await cluster.settled()
  for (const {primary, replicas} of topology.shards) {
    const slots = countSlots(slotsOf(topology, primary.id))
    console.log(`${formatAddress(primary.address)}: ${slots} slots, ${replicas.length} replicas`)
  }
  const {findings} = await cluster.check()
  for (const {severity, id, message} of findings) console.log(`${severity} ${id}: ${message}`)
  process.exitCode = findings.some(({severity}) => severity === 'error') ? 1 : 0
} finally {
  cluster.close()
}
