/** Bad input: one clear line that names it, the right exit code, and nothing changed. */
import {createServer, type Server} from 'node:net'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {anyKind, eventually, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
/** A cluster of three primaries with a replica each, and what stands beside it. */
let cluster: TestServers
let loners: TestServers
let plain: TestServers
let guarded: TestServers
let silent: Server
let web: Server
let [a, b, c, replica, spare, twin, filled, foreign] = ['', '', '', '', '', '', '', '']
let [acquainted, standalone, locked] = ['', '', '']
let ids: Record<string, string>

beforeAll(async () => {
  const kind = anyKind()
  cluster = await startServers(kind, 6)
  loners = await startServers(kind, 6, {config: {'cluster-require-full-coverage': 'no'}})
  plain = await startServers(kind, 1, {config: {'cluster-enabled': 'no'}})
  guarded = await startServers(kind, 1)
  ;[a, b, c] = cluster.addresses as [string, string, string]
  ;[spare, twin, filled, foreign] = loners.addresses as [string, string, string, string]
  standalone = plain.addresses[0] ?? ''
  locked = guarded.addresses[0] ?? ''
  await rcluster.ok('create', ...cluster.addresses, '--replicas', '1', '--yes')
  await rawCommand(filled, ['CLUSTER', 'ADDSLOTS', '0'])
  await eventually('a lone node serves its slot', async () => {
    return (await rawCommand(filled, ['SET', '{06S}', 'value']).catch(() => '')) === 'OK'
  })
  await rcluster.ok('create', foreign, '--yes')
  // Neither keys nor slots, but somebody it knows: joined to another cluster it would bring that one along.
  const [, , , , first = '', second = ''] = loners.addresses
  acquainted = first
  await rawCommand(first, ['CLUSTER', 'MEET', ...second.split(':')])
  await eventually('the two know each other', async () => {
    const views = await Promise.all([first, second].map((address) => rawCommand(address, ['CLUSTER', 'NODES'])))
    return views.every((nodes) => !/handshake/.test(String(nodes)) && String(nodes).trim().split('\n').length === 2)
  })
  await rawCommand(locked, ['CONFIG', 'SET', 'requirepass', 'open sesame'])
  ids = {}
  for (const address of cluster.addresses) ids[address] = String(await rawCommand(address, ['CLUSTER', 'MYID']))
  const nodes = String(await rawCommand(a, ['CLUSTER', 'NODES'])).split('\n')
  const line = nodes.find((text) => text.includes('slave') && text.includes(ids[b] ?? '-')) ?? ''
  replica = /^\S+ ([^@]+)@/.exec(line)?.[1] ?? ''
  silent = createServer(() => {}).listen(0, '127.0.0.1')
  web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1')
})

afterAll(async () => {
  for (const servers of [cluster, loners, plain, guarded]) await servers?.stop()
  silent?.close()
  web?.close()
  rcluster.close()
})

function addressOf(server: Server): string {
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}

/** Who owns what, and who is whose replica: everything that a command could have changed. */
async function membership(): Promise<string> {
  const views = []
  for (const address of [...cluster.addresses, ...loners.addresses]) {
    const nodes = String(await rawCommand(address, ['CLUSTER', 'NODES']))
    const lines = nodes
      .trim()
      .split('\n')
      .map((line) => {
        const [id, , flags, primary, , , , , ...slots] = line.split(' ')
        return [id, flags, primary, ...slots].join(' ')
      })
    views.push(lines.sort().join('\n'))
  }
  return views.join('\n\n')
}

interface Refusal {
  readonly name: string
  readonly args: () => string[]
  readonly code: 2 | 3 | 4
  /** What the message names. */
  readonly says: () => string | RegExp
}

const yes = '--yes'
const REFUSALS: Refusal[] = [
  // The words make no sense.
  {
    name: 'an unknown node ID',
    args: () => ['reshard', 'deadbeef', b, '10', '--seed', a, yes],
    code: 2,
    says: () => 'deadbeef',
  },
  {
    name: 'an address that no node has',
    args: () => ['reshard', a, '127.0.0.1:9', '10', yes],
    code: 2,
    says: () => '127.0.0.1:9',
  },
  {name: 'a port out of range', args: () => ['reshard', a, '127.0.0.1:70000', '10', yes], code: 2, says: () => '70000'},
  {name: 'port 0', args: () => ['create', '127.0.0.1:0', yes], code: 2, says: () => '127.0.0.1:0'},
  {name: 'a negative count', args: () => ['reshard', a, b, '-5', yes], code: 2, says: () => '-5'},
  {name: 'a zero count', args: () => ['reshard', a, b, '0', yes], code: 2, says: () => '"0"'},
  {name: 'a count that is no number', args: () => ['reshard', a, b, 'many', yes], code: 2, says: () => 'many'},
  {name: 'a count with decimals', args: () => ['reshard', a, b, '1.5', yes], code: 2, says: () => '1.5'},
  {
    name: 'a negative number of replicas',
    args: () => ['create', spare, twin, '--replicas', '-1', yes],
    code: 2,
    says: () => '-1',
  },
  {
    name: 'more slots than the sources have',
    args: () => ['reshard', a, b, '6000', yes],
    code: 2,
    says: () => /5461.*6000/,
  },
  {name: 'more slots than there are', args: () => ['reshard', a, b, '20000', yes], code: 2, says: () => '20000'},
  {name: 'the source as target', args: () => ['reshard', a, a, '10', yes], code: 2, says: () => a},
  {name: 'a replica as target', args: () => ['reshard', a, replica, '10', yes], code: 2, says: () => replica},
  {name: 'a replica as source', args: () => ['reshard', replica, a, '10', yes], code: 2, says: () => replica},
  {
    name: 'the same address twice in create',
    args: () => ['create', spare, spare, twin, yes],
    code: 2,
    says: () => spare,
  },
  {
    name: 'the same node by two names in create',
    args: () => ['create', spare, spare.replace('127.0.0.1', 'localhost'), yes],
    code: 2,
    says: () => spare,
  },
  {
    name: 'too few nodes for the replicas',
    args: () => ['create', spare, twin, '--primaries', '2', '--replicas', '1', yes],
    code: 2,
    says: () => /2 nodes/,
  },
  {name: 'a question without a terminal in reshard', args: () => ['reshard', a, b, '10'], code: 2, says: () => '--yes'},
  {name: 'a question without a terminal in create', args: () => ['create', spare, twin], code: 2, says: () => '--yes'},
  {
    name: 'a question without a terminal in del-node',
    args: () => ['del-node', a, ids[replica] ?? ''],
    code: 2,
    says: () => '--yes',
  },
  {
    name: 'a question without a terminal in rebalance',
    args: () => ['rebalance', a, '--weight', `${a}=2`],
    code: 2,
    says: () => '--yes',
  },
  {
    name: 'a question without a terminal in add-node',
    args: () => ['add-node', spare, a, '--rebalance'],
    code: 2,
    says: () => '--yes',
  },
  {name: 'an unknown flag', args: () => ['check', a, '--frobnicate'], code: 2, says: () => '--frobnicate'},
  {name: 'an unknown command', args: () => ['frobnicate'], code: 2, says: () => 'frobnicate'},
  {
    name: 'a slot that is none',
    args: () => ['reshard', a, '--from', a, '--to', b, '--slots-list', '0,16384', yes],
    code: 2,
    says: () => '16384',
  },
  {
    name: 'a weight that is no number',
    args: () => ['rebalance', a, '--weight', `${b}=heavy`, yes],
    code: 2,
    says: () => 'heavy',
  },
  {name: 'a negative weight', args: () => ['rebalance', a, '--weight', `${b}=-1`, yes], code: 2, says: () => '-1'},
  // Not fit.
  {
    name: 'a node that is not in cluster mode in create',
    args: () => ['create', spare, standalone, yes],
    code: 3,
    says: () => standalone,
  },
  {
    name: 'a node that is not in cluster mode in add-node',
    args: () => ['add-node', standalone, a],
    code: 3,
    says: () => standalone,
  },
  {
    name: 'a node with data and slots in create',
    args: () => ['create', spare, filled, yes],
    code: 3,
    says: () => new RegExp(`${filled}.*1 key.*1 slot`),
  },
  {name: 'a node with data and slots in add-node', args: () => ['add-node', filled, a], code: 3, says: () => filled},
  {
    name: 'a node that knows others in create',
    args: () => ['create', spare, acquainted, yes],
    code: 3,
    says: () => new RegExp(`${acquainted}.*1 other node`),
  },
  {
    name: 'a node that knows others in add-node',
    args: () => ['add-node', acquainted, '--seed', a],
    code: 3,
    says: () => new RegExp(`${acquainted}.*1 other node`),
  },
  {name: 'a node of this cluster in create', args: () => ['create', spare, a, yes], code: 3, says: () => a},
  {name: 'a member with slots in add-node', args: () => ['add-node', b, a], code: 3, says: () => b},
  {name: 'a node of another cluster in add-node', args: () => ['add-node', foreign, a], code: 3, says: () => foreign},
  {
    name: 'a seed of another cluster',
    args: () => ['rebalance', '--seed', a, '--seed', foreign, yes],
    code: 3,
    says: () => foreign,
  },
  {name: 'a node with slots in del-node', args: () => ['del-node', a, b, yes], code: 3, says: () => b},
  // No answer, or no.
  {name: 'no server at the address', args: () => ['check', '127.0.0.1:9'], code: 4, says: () => '127.0.0.1:9'},
  {name: 'no server to add', args: () => ['add-node', '127.0.0.1:9', a], code: 4, says: () => '127.0.0.1:9'},
  {
    name: 'a server that never answers',
    args: () => ['info', addressOf(silent), '--command-timeout', '500ms'],
    code: 4,
    says: () => addressOf(silent),
  },
  {
    name: 'a command that takes too long',
    args: () => ['check', addressOf(silent), '--timeout', '500ms'],
    code: 4,
    says: () => '--timeout',
  },
  {name: 'not Redis at all', args: () => ['check', addressOf(web)], code: 4, says: () => addressOf(web)},
  {name: 'no password', args: () => ['check', locked], code: 4, says: () => locked},
]

test.each(REFUSALS)('$name is refused with exit code $code', async ({args, code, says}) => {
  const before = await membership()
  const text = await rcluster.run(args())
  expect(text.stderr.match(/^Error: \S.*$/gm)).toHaveLength(1)
  expect(text.stderr).not.toMatch(/^ +at /m)
  const said = says()
  const line = text.stderr
    .split('\n')
    .filter((one) => /^Error|^ {2}→/.test(one))
    .join('\n')
  if (typeof said === 'string') expect(line).toContain(said)
  else expect(line).toMatch(said)
  expect(text.code).toBe(code)

  const json = await rcluster.run([...args(), '--json'])
  expect(json.code).toBe(code)
  const document = JSON.parse(json.stdout)
  expect(document).toMatchObject({version: 1, ok: false, error: {exitCode: code}})
  expect(await membership()).toBe(before)
})

test.each([
  {name: 'create', args: () => ['create', spare, addressOf(silent), yes]},
  {name: 'info', args: () => ['info', addressOf(silent)]},
  {name: 'add-node', args: () => ['add-node', addressOf(silent), a]},
  {name: 'del-node', args: () => ['del-node', addressOf(silent), ids[replica] ?? '', yes]},
  {name: 'reshard', args: () => ['reshard', '--seed', addressOf(silent), '--from', a, '--to', b, '--slots', '1', yes]},
  {name: 'rebalance', args: () => ['rebalance', addressOf(silent), yes]},
])('$name with --timeout ends in time when a server never answers', async ({args}) => {
  const startedAt = performance.now()
  const {code, stderr} = await rcluster.run([...args(), '--timeout', '700ms', '--command-timeout', '60s'])
  expect(`${code} ${stderr}`).toMatch(/^4 Error: .*700 ms/)
  expect(performance.now() - startedAt).toBeLessThan(5000)
})

test('an ambiguous ID prefix is refused, and names the candidates', async () => {
  const all = Object.values(ids)
  const digit = [...'0123456789abcdef'].find((first) => all.filter((id) => id.startsWith(first)).length > 1)
  // Six IDs that all begin differently: seldom, and then there is no ambiguous prefix to be had.
  const prefix = digit ?? ''
  const twins = all.filter((id) => id.startsWith(prefix))
  const {code, stderr} = await rcluster.run(['del-node', prefix, '--seed', a, yes])
  expect(code).toBe(2)
  if (digit !== undefined) for (const id of twins) expect(stderr).toContain(id.slice(0, 8))
})

test('a wrong password is refused, and shown nowhere', async () => {
  const env = {RCLUSTER_PASSWORD: 'hunter2-wrong'}
  for (const extra of [[], ['--json'], ['--verbose']]) {
    const {code, stdout, stderr} = await rcluster.run(['check', locked, ...extra], {env})
    expect(code).toBe(4)
    expect(`${stdout}${stderr}`).toMatch(/WRONGPASS|password/i)
    expect(`${stdout}${stderr}`).not.toContain('hunter2')
  }
})

test('open, uncovered and disputed slots forbid moves', async () => {
  const commands = [
    ['reshard', a, b, '10', yes],
    ['rebalance', a, '--threshold', '0', '--weight', `${a}=2`, yes],
  ]
  const expectRefusal = async (what: RegExp): Promise<void> => {
    for (const command of commands) {
      const {code, stderr} = await rcluster.run(command)
      expect(stderr).toMatch(what)
      expect(code).toBe(3)
    }
    expect((await rcluster.run(['check', a])).code).toBe(1)
  }
  await rawCommand(a, ['CLUSTER', 'SETSLOT', '5', 'MIGRATING', ids[b] ?? ''])
  await expectRefusal(/slot 5 is open/)
  await rawCommand(b, ['CLUSTER', 'SETSLOT', '5', 'IMPORTING', ids[a] ?? ''])
  await expectRefusal(/slot 5 is open/)
  await rawCommand(a, ['CLUSTER', 'SETSLOT', '5', 'STABLE'])
  await expectRefusal(/slot 5 is open/)
  // The command that the refusal names finishes the move.
  await rcluster.ok('reshard', a, '--from', a, '--to', b, '--slots-list', '5', yes)
  expect((await rcluster.run(['check', a])).code).toBe(0)

  for (const address of cluster.addresses)
    await rawCommand(address, ['CLUSTER', 'DELSLOTS', '7']).catch(() => undefined)
  await expectRefusal(/slot 7 is uncovered/)
  await rawCommand(a, ['CLUSTER', 'ADDSLOTS', '7'])

  await rawCommand(c, ['CLUSTER', 'DELSLOTS', '16383'])
  await expectRefusal(/16383/)
  await rawCommand(c, ['CLUSTER', 'ADDSLOTS', '16383'])
})
