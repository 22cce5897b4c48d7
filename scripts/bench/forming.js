// How do servers become the cluster that a workload wants? Quicker than by gossip, which takes half a minute for 120.
import {BUS_OFFSET, until} from './servers.js'

export const SLOTS = 16_384
const KNOWN_MS = 60_000

/** Which of so many primaries a slot belongs to at first. */
export function firstOwner(slot, primaries) {
  return Math.min(Math.floor((slot * primaries) / SLOTS), primaries - 1)
}

/**
 * First the primaries with slots, then the newcomers, then the replicas of both, as the ports are in order. They need not
 * agree yet when this is done.
 * @returns node IDs, in the order of the ports
 */
export async function formCluster(servers, {primaries, newcomers}, signal) {
  const {connections, ports} = servers
  const ids = await servers.askAll('CLUSTER', 'MYID')
  const onEach = (work) =>
    Promise.all(connections.map((connection, n) => work((...words) => connection.call(words), n)))
  const lastSlots = Array.from({length: primaries}, (_, n) => lastSlotOf(n, primaries))
  const isAlone = ports.length === 1
  await onEach(async (call, n) => {
    await call('CLUSTER', 'SET-CONFIG-EPOCH', n + 1)
    if (n >= primaries) return
    const first = n === 0 ? 0 : lastSlots[n - 1] + 1
    await call('CLUSTER', 'ADDSLOTSRANGE', first, isAlone ? lastSlots[n] : lastSlots[n] - 1)
  })
  if (isAlone) return ids
  await onEach((call, n) =>
    Promise.all(ports.slice(n + 1).map((port) => call('CLUSTER', 'MEET', '127.0.0.1', port, port + BUS_OFFSET))),
  )
  await until('all nodes know all', KNOWN_MS, signal, async () => {
    const views = await servers.askAll('CLUSTER', 'NODES')
    return views.every((text) => !text.includes('handshake') && text.trim().split('\n').length === ports.length)
  })
  await onEach(async (call, n) => {
    // A node that ends an import tells all nodes at once which slots it has; otherwise they hear it one by one.
    if (n < primaries) {
      await call('CLUSTER', 'SETSLOT', lastSlots[n], 'IMPORTING', ids[(n + 1) % ids.length])
      await call('CLUSTER', 'SETSLOT', lastSlots[n], 'NODE', ids[n])
    } else if (n >= primaries + newcomers) await call('CLUSTER', 'REPLICATE', ids[n % (primaries + newcomers)])
  })
  return ids
}

function lastSlotOf(n, primaries) {
  let slot = Math.ceil(((n + 1) * SLOTS) / primaries)
  while (slot >= SLOTS || firstOwner(slot, primaries) !== n) slot--
  return slot
}
