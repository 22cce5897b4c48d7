/** The genuine CLI and rcluster from the same start: which slots do they move, and what is the cluster then? */
import {afterAll, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {countSlots, parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import {type NodePicture, pictureOf} from '../support/cluster-picture.ts'
import {type Cli, genuineCli, oursAsCli} from '../support/genuine-cli.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, rawCommand, type ServerKind, type TestServers} from '../support/servers.ts'
import {startWithShares} from '../support/uneven-cluster.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const ours = oursAsCli(rcluster)

/** Arguments for the nodes of one cluster, by their places. */
type Words = (ids: readonly string[]) => readonly string[]

const SIZES = ['0-4999', '5000-10922', '10923-16183', '16184-16383', '']

/** Five primaries of different sizes, the last without a slot, with a key in each of some slots. */
async function startUneven(kind: ServerKind): Promise<{servers: TestServers; ids: string[]}> {
  const started = await startWithShares(kind, SIZES)
  for (const [place, address] of started.servers.addresses.entries()) {
    const [range] = parseRanges(SIZES[place]!)
    for (let slot = range?.start ?? 0; range && slot < range.start + 12; slot++) {
      await rawCommand(address, ['SET', `{${tagForSlot(slot)}}key`, 'value'])
    }
  }
  return started
}

forEachKind(
  'the plan of the genuine CLI',
  (kind) => {
    const reshards: readonly Words[] = [
      ([a, b]) => ['--cluster-from', a!, '--cluster-to', b!, '--cluster-slots', '1'],
      ([a, b]) => ['--cluster-from', b!, '--cluster-to', a!, '--cluster-slots', '30'],
      ([a, b, c, d]) => ['--cluster-from', `${a},${b},${c}`, '--cluster-to', d!, '--cluster-slots', '4'],
      ([, , , , e]) => ['--cluster-from', 'all', '--cluster-to', e!, '--cluster-slots', '17'],
      ([a, b, , d]) => ['--cluster-from', `${d},${a},${b}`, '--cluster-to', a!, '--cluster-slots', '5'],
    ]
    const rebalances: readonly Words[] = [
      () => [],
      () => ['--cluster-use-empty-masters'],
      () => ['--cluster-use-empty-masters', '--verbose'],
      () => ['--cluster-threshold', '0'],
      () => ['--cluster-threshold', '90'],
      ([a, b]) => ['--cluster-weight', `${a!.slice(0, 12)}=2.5`, `${b}=0`],
      ([, , , , e]) => ['--cluster-weight', `${e}=3`, '--cluster-use-empty-masters'],
      ([a, b, c, d]) => ['--cluster-weight', `${a}=1.7`, `${b}=0.3`, `${c}=1.1`, `${d}=0.9`],
    ]
    test('is ours, word for word', async () => {
      const {servers, ids} = await startUneven(kind)
      try {
        const theirCli = genuineCli(kind)
        for (const [place, seed] of servers.addresses.slice(0, 2).entries()) {
          // Through another seed the nodes come in another order.
          const [first, second] = place === 0 ? [reshards, rebalances] : [reshards.slice(3, 4), rebalances.slice(1, 2)]
          for (const words of first) {
            const args = ['--cluster', 'reshard', seed, ...words(ids)]
            const [theirs, own] = await Promise.all([theirCli(args, {input: 'no\n'}), ours(args, {input: 'no\n'})])
            expect(own.stdout.split('Do you want')[0]).toBe(theirs.stdout.split('Do you want')[0])
            expect([own.code, own.stderr]).toEqual([theirs.code, theirs.stderr])
          }
          for (const words of second) {
            const args = ['--cluster', 'rebalance', seed, '--cluster-simulate', ...words(ids)]
            const [theirs, own] = await Promise.all([theirCli(args), ours(args)])
            expect(own, args.join(' ')).toEqual(theirs)
          }
        }
      } finally {
        await servers.stop()
      }
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

/**
 * Carried out one after the other. No two primaries have as many slots, and all weights give whole shares: else it would
 * go by the order of random IDs.
 */
const rows: readonly {readonly name: string; readonly args: Words}[] = [
  {
    name: 'reshard of one slot',
    args: ([a, b]) => ['reshard', '--cluster-from', b!, '--cluster-to', a!, '--cluster-slots', '1'],
  },
  {
    name: 'reshard from one source',
    args: ([a, , c]) => ['reshard', '--cluster-from', a!, '--cluster-to', c!, '--cluster-slots', '20'],
  },
  {
    name: 'reshard from several sources',
    args: ([a, b, c]) => ['reshard', '--cluster-from', `${b},${a}`, '--cluster-to', c!, '--cluster-slots', '31'],
  },
  {
    name: 'reshard from all',
    args: ([, , , d]) => ['reshard', '--cluster-from', 'all', '--cluster-to', d!, '--cluster-slots', '25'],
  },
  {
    name: 'rebalance with an empty primary',
    args: ([a, b, c, d, e]) => [
      ...['rebalance', '--cluster-use-empty-masters'],
      ...['--cluster-weight', `${a}=4950`, `${b}=5834`, `${c}=5250`, `${d}=250`, `${e}=100`],
    ],
  },
  {
    name: 'rebalance by weight',
    args: ([a, b, c, d, e]) => [
      'rebalance',
      ...['--cluster-weight', `${a}=4900`, `${b}=5834`, `${c}=5250`, `${d}=350`, `${e}=50`],
    ],
  },
  {
    name: 'rebalance that has nothing to do',
    args: ([a, b, c, d, e]) => [
      'rebalance',
      ...['--cluster-weight', `${a}=4901`, `${b}=5833`, `${c}=5250`, `${d}=350`, `${e}=50`],
    ],
  },
  {
    name: 'reshard of all that a primary has, and its last slot',
    args: ([, b, , d]) => ['reshard', '--cluster-from', d!, '--cluster-to', b!, '--cluster-slots', '16384'],
  },
]

forEachKind(
  'the cluster that the genuine CLI makes',
  (kind) => {
    test('is ours, step by step', async () => {
      const [theirs, own] = await Promise.all([genuineCli(kind), ours].map((cli) => story(kind, cli)))
      expect(own).toEqual(theirs)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

async function story(kind: ServerKind, cli: Cli): Promise<unknown[]> {
  const {servers, ids} = await startUneven(kind)
  try {
    const steps: unknown[] = []
    let before = await pictureOf(servers.addresses)
    for (const {name, args} of rows) {
      const [subcommand = '', ...words] = args(ids)
      const {code, stderr, stdout} = await cli([
        '--cluster',
        subcommand,
        servers.addresses[0]!,
        ...words,
        '--cluster-yes',
      ])
      expect(`${name}: ${code} ${stderr} ${stdout.slice(-600)}`).toMatch(`${name}: 0  `)
      const after = await pictureOf(servers.addresses)
      // A new replica has its keys some seconds later.
      const nodes = after.map(({epoch, keys, ...rest}) => (rest.role === 'replica' ? rest : {...rest, keys}))
      steps.push({name, nodes, takersLead: doTakersLead(before, after)})
      before = after
    }
    return steps
  } finally {
    await servers.stop()
  }
}

/** Is the config epoch of everyone who has more slots now above that of everyone who has fewer? */
function doTakersLead(before: readonly NodePicture[], after: readonly NodePicture[]): boolean {
  const sizeOf = ({slots}: NodePicture): number => countSlots(parseRanges(slots))
  const grown = after.map((node, place) => ({node, gain: sizeOf(node) - sizeOf(before[place]!)}))
  const takers = grown.filter(({gain}) => gain > 0)
  const givers = grown.filter(({gain, node}) => gain < 0 && node.role === 'primary')
  return takers.every((taker) => givers.every((giver) => taker.node.epoch > giver.node.epoch))
}
