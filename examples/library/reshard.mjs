// Moves slots from one primary to another, with a bar of its own. Run again after an interruption, it goes on.
//   node reshard.mjs 10.0.0.1:6379 FROM TO COUNT
import {connect, planReshard, RefusedError, requireNode} from 'rcluster'

const [seed = '', from = '', to = '', count = ''] = process.argv.slice(2)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

const cluster = await connect({seeds: seed, password: process.env.RCLUSTER_PASSWORD})
try {
  const topology = await cluster.settled()
  const plan = planReshard(topology, {
    from: [requireNode(topology, from).id],
    to: requireNode(topology, to).id,
    count: Number(count),
  })
  let moved = 0
  const {kind, slotsMoved, keysMoved, left} = await cluster.run(plan, {
    name: 'examples/library/reshard.mjs',
    signal: stop.signal,
    onEvent: (event) => {
      if (event.kind !== 'slots-moved') return
      moved += event.slots.length
      console.error(`${moved} of ${plan.moves.length} slots`)
    },
  })
  console.log(JSON.stringify({kind, slotsMoved, keysMoved, left: left.length}))
} catch (error) {
  if (!(error instanceof RefusedError)) throw error
  // Nothing was changed, and the error says why and what would help.
  console.error(`${error.message}\n${error.suggestions.join('\n')}`)
  process.exitCode = error.exitCode
} finally {
  cluster.close()
}
