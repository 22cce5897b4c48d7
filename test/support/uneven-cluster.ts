/** How is a cluster made whose primaries have just these slots? */
import {parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import {pictureOf} from './cluster-picture.ts'
import {eventually, rawCommand, type ServerKind, type StartOptions, startServers, type TestServers} from './servers.ts'

/** `shares`: ranges, "0-4999,6000" or "" for none; together all slots. They have settled, and take keys. */
export async function startWithShares(
  kind: ServerKind,
  shares: readonly string[],
  options: StartOptions = {},
): Promise<{servers: TestServers; ids: string[]}> {
  const servers = await startServers(kind, shares.length, options)
  const {addresses} = servers
  const [host = '', port = ''] = addresses[0]!.split(':')
  for (const [place, address] of addresses.entries()) {
    const ranges = parseRanges(shares[place]!).flatMap(({start, end}) => [start, end])
    if (ranges.length > 0) await rawCommand(address, ['CLUSTER', 'ADDSLOTSRANGE', ...ranges])
    await rawCommand(address, ['CLUSTER', 'SET-CONFIG-EPOCH', place + 1])
    if (place > 0) await rawCommand(address, ['CLUSTER', 'MEET', host, port])
  }
  await eventually('all know one another', async () =>
    (await pictureOf(addresses)).every(({knows}) => knows.length === addresses.length),
  )
  const info = (address: string) => rawCommand(address, ['CLUSTER', 'INFO'])
  await eventually('all are up', async () =>
    (await Promise.all(addresses.map(info))).every((text) => String(text).includes('cluster_state:ok')),
  )
  const ids = await Promise.all(addresses.map(async (at) => String(await rawCommand(at, ['CLUSTER', 'MYID']))))
  return {servers, ids}
}
