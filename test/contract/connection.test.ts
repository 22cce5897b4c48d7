/** What does the adapter say when the other end is not what it should be? On real sockets. */
import {once} from 'node:events'
import {createServer as createHttpServer} from 'node:http'
import {type AddressInfo, createServer, type Server} from 'node:net'
import {inspect} from 'node:util'
import {afterAll, afterEach, beforeAll, describe, expect, it} from 'vitest'
import type {ClusterPort} from '../../src/lib/engine/cluster-port.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {openClusterPort} from '../../src/lib/redis/connect.ts'
import type {ConnectionOptions} from '../../src/lib/redis/connection-options.ts'
import {Login, Logins} from '../../src/lib/redis/logins.ts'
import type {NodeAddress} from '../../src/lib/topology/model.ts'
import {
  eventually,
  forEachKind,
  rawCommand,
  type ServerKind,
  splitAddress,
  startServers,
  type TestServers,
} from '../support/servers.ts'

const SECRET = 'pa55-that-nobody-may-see'

const opened: (ClusterPort | Server)[] = []
afterEach(() => {
  for (const one of opened.splice(0)) one.close()
})

function dial(options: Partial<ConnectionOptions> = {}): ClusterPort {
  const port = openClusterPort({connectTimeoutMs: 500, commandTimeoutMs: 500, ...options})
  opened.push(port)
  return port
}

const as = (username: string | undefined, password = SECRET): Logins => new Logins([], new Login(username, password))

async function errorOf(work: Promise<unknown>): Promise<NodeError> {
  const error = await work.then(
    () => 'no failure',
    (reason: unknown) => reason,
  )
  if (!(error instanceof NodeError)) throw new Error(`not a NodeError: ${inspect(error)}`)
  return error
}

async function listening(server: Server): Promise<NodeAddress> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  opened.push(server)
  return {host: '127.0.0.1', port: (server.address() as AddressInfo).port}
}

/** Answers every command with one line. */
function answering(answer: (words: readonly string[]) => string): Server {
  return createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      for (const command of data
        .toString()
        .split(/^\*\d+\r\n/m)
        .filter(Boolean)) {
        const words = command.split('\r\n').filter((_, index) => index % 2 === 1)
        socket.write(`${answer(words)}\r\n`)
      }
    })
  })
}

describe('an address where no server is', () => {
  it('refuses when nothing listens there', async () => {
    const server = createServer()
    const address = await listening(server)
    server.close()
    await once(server, 'close')
    const error = await errorOf(dial().connect(address))
    expect(error).toMatchObject({failure: 'refused', address: `127.0.0.1:${address.port}`, exitCode: 4})
    expect(error.message).toContain(`127.0.0.1:${address.port}`)
  })

  it('does not resolve when the name is nobody’s', async () => {
    const error = await errorOf(dial().connect({host: 'no-such-host.invalid', port: 7000}))
    expect(error.failure).toBe('unresolved')
  })

  it.each([{}, {logins: as(undefined)}])(
    'costs one deadline when it takes connections and says nothing: %o',
    async (login) => {
      const address = await listening(createServer((socket) => socket.on('error', () => {})))
      const startedAt = performance.now()
      const error = await errorOf(dial(login).connect(address))
      expect(error.failure).toBe('timeout')
      expect(performance.now() - startedAt).toBeLessThan(1500)
    },
  )

  it('is told apart when it closes at once', async () => {
    const address = await listening(createServer((socket) => socket.destroy()))
    expect((await errorOf(dial().connect(address))).failure).toBe('closed')
  })

  it('is told apart when it speaks HTTP', async () => {
    const address = await listening(createHttpServer((_, response) => response.end('hello')))
    expect((await errorOf(dial().connect(address))).failure).toBe('not-redis')
  })

  it.each([{}, {logins: as(undefined)}])('is told apart when it sends back what it hears: %o', async (login) => {
    const address = await listening(createServer((socket) => socket.on('error', () => {}).pipe(socket)))
    expect((await errorOf(dial(login).connect(address))).failure).toBe('not-redis')
  })

  it('is told apart when it says yes to everything', async () => {
    const address = await listening(answering(() => '+OK'))
    expect((await errorOf(dial().connect(address))).failure).toBe('not-redis')
  })

  it('is told apart when it speaks something else first', async () => {
    const address = await listening(createServer((socket) => socket.write('220 mail.example ESMTP\r\n')))
    expect((await errorOf(dial().connect(address))).failure).toBe('not-redis')
  })
})

describe('a server that says no', () => {
  it.each([{}, {logins: as(undefined)}])('because of protected mode is told apart: %o', async (login) => {
    const denial =
      'DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want'
    const address = await listening(
      createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(`-${denial}\r\n`))),
    )
    const error = await errorOf(dial(login).connect(address))
    expect(error.failure).toBe('protected')
    expect(error.message).toMatch(/no password is set for the default user$/)
  })

  it('and repeats a login that it does not know shows it to nobody', async () => {
    const address = await listening(
      answering(
        ([name, ...rest]) => `-ERR unknown command '${name}', with args beginning with: '${rest.join("' '")}' `,
      ),
    )
    const error = await errorOf(dial({logins: as(undefined)}).connect(address))
    expect(error.failure).toBe('unknown-command')
    expect(inspect(error, {depth: Infinity, showHidden: true}) + String(error.stack)).not.toContain(SECRET)
  })
})

describe('closing', () => {
  it.each([0, 100])('ends what is still being dialled, after %i ms', async (afterMs) => {
    const address = await listening(createServer((socket) => socket.on('error', () => {})))
    const port = dial({connectTimeoutMs: 20_000, commandTimeoutMs: 20_000})
    const startedAt = performance.now()
    const pending = errorOf(port.connect(address))
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    port.close()
    expect((await pending).failure).toBe('closed')
    expect(performance.now() - startedAt).toBeLessThan(2000)
  })
})

forEachKind('a server', (kind: ServerKind) => {
  describe('with a password', () => {
    let servers: TestServers
    let address: NodeAddress
    beforeAll(async () => {
      servers = await startServers(kind, 1, {config: {requirepass: SECRET}})
      address = splitAddress(servers.addresses[0] as string)
    })
    afterAll(async () => {
      await servers.stop()
    })

    it('takes the right one, and tells that it wanted it', async () => {
      const node = await dial({logins: as(undefined)}).connect(address)
      expect(node.peerLogin).toBeDefined()
      expect(await node.countKeys(0, 0)).toBe(0)
    })

    it('takes a user with a password', async () => {
      const node = await dial({logins: as('default')}).connect(address)
      expect(node.peerLogin?.username).toBe('default')
    })

    it('refuses who gives none', async () => {
      expect((await errorOf(dial().connect(address))).failure).toBe('auth')
    })

    it('refuses a wrong one, which is shown nowhere', async () => {
      const wrong = `${SECRET}-wrong`
      for (const username of [undefined, 'default']) {
        const error = await errorOf(dial({logins: as(username, wrong)}).connect(address))
        expect(error.failure).toBe('auth')
        const everything = inspect(error, {depth: Infinity, showHidden: true, getters: true}) + String(error.stack)
        expect(everything).not.toContain(SECRET)
        expect(JSON.stringify(error)).not.toContain(SECRET)
      }
    })

    it('does not show the password of a MIGRATE that fails', async () => {
      const node = await dial({logins: as(undefined)}).connect(address)
      const request = {
        target: {host: '127.0.0.1', port: 1},
        targetLogin: node.peerLogin,
        keys: [Buffer.from('a'), Buffer.from('b')],
        database: 0,
        timeoutMs: 100,
        isReplacing: false,
      }
      const error = await errorOf(node.migrateKeys(request))
      expect(inspect(error, {depth: Infinity, showHidden: true}) + String(error.stack)).not.toContain(SECRET)
    })
  })

  describe('without a password', () => {
    let servers: TestServers
    let addresses: NodeAddress[]
    beforeAll(async () => {
      servers = await startServers(kind, 2)
      addresses = servers.addresses.map(splitAddress)
    })
    afterAll(async () => {
      await servers.stop()
    })

    it('is fine with a password that it does not want', async () => {
      const node = await dial({logins: as(undefined)}).connect(addresses[0] as NodeAddress)
      expect(node.peerLogin).toBeUndefined()
      expect(await node.readDatabaseCount()).toBe(1)
    })

    it('is one connection for all who ask for the same address', async () => {
      const port = dial()
      const address = addresses[0] as NodeAddress
      const [one, two] = await Promise.all([port.connect(address), port.connect(address)])
      expect(one).toBe(two)
    })

    it('tells its own address on the way in', async () => {
      const node = await dial().connect(addresses[0] as NodeAddress)
      expect(node.internalAddress).toEqual(addresses[0])
      const byName = await dial().connect({host: 'localhost', port: addresses[0]?.port ?? 0})
      expect(byName).toMatchObject({address: {host: 'localhost'}, resolvedAddress: addresses[0]})
    })

    it('counts the clients of others, and none of its own connections, open or broken', async () => {
      const [address] = addresses as [NodeAddress]
      const node = await dial().connect(address)
      const request = {target: address, targetLogin: undefined, database: 0, timeoutMs: 100, isReplacing: false}
      await node.migrateKeys({...request, keys: [Buffer.from('gone')]}).catch(() => undefined)
      await eventually('nobody else is there', async () => (await node.countOtherClients()) === 0)
      const other = await dial().connect(address)
      expect(await node.countOtherClients()).toBe(1)
      await rawCommand(servers.addresses[0] as string, ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
      await eventually(
        'both are back',
        async () => {
          await other.countKeys(0, 0)
          return (await node.countOtherClients()) === 1
        },
        3000,
      )
    })

    it('is refused when it is not the node that was expected', async () => {
      const port = dial()
      const [first, second] = addresses as [NodeAddress, NodeAddress]
      const {id} = await port.connect(first)
      expect(await port.connect(first, id)).toMatchObject({id})
      expect((await errorOf(port.connect(second, id))).failure).toBe('wrong-node')
    })

    it('fails what is pending and what comes later once it was closed', async () => {
      const port = dial()
      const node = await port.connect(addresses[0] as NodeAddress)
      const pending = errorOf(node.readView())
      node.close()
      expect((await pending).failure).toBe('closed')
      expect((await errorOf(node.countKeys(0, 0))).failure).toBe('closed')
    })

    it('gives its own answers again after it was frozen, never late ones', async () => {
      const node = await dial().connect(addresses[0] as NodeAddress)
      await rawCommand(servers.addresses[0] as string, ['CLUSTER', 'ADDSLOTS', 0])
      servers.signal(0, 'SIGSTOP')
      try {
        const startedAt = performance.now()
        const errors = await Promise.all([errorOf(node.readConfig('port')), errorOf(node.countKeys(0, 0))])
        expect(errors.map(({failure}) => failure)).toEqual(['timeout', 'timeout'])
        expect(performance.now() - startedAt).toBeLessThan(1500)
      } finally {
        servers.signal(0, 'SIGCONT')
      }
      expect(await node.readConfig('maxmemory')).toBe('0')
      expect(await node.countKeys(0, 0)).toBe(0)
      expect((await node.readView()).id).toBe(node.id)
    })

    it('has missed the deadline with every call that was pending, whenever it was made', async () => {
      const node = await dial().connect(addresses[0] as NodeAddress)
      servers.signal(0, 'SIGSTOP')
      try {
        const first = errorOf(node.countKeys(0, 0))
        await new Promise((resolve) => setTimeout(resolve, 100))
        const errors = await Promise.all([first, errorOf(node.countKeys(1, 0))])
        expect(errors.map(({failure}) => failure)).toEqual(['timeout', 'timeout'])
      } finally {
        servers.signal(0, 'SIGCONT')
      }
    })

    it('answers again after a restart, as the same node', async () => {
      const node = await dial({connectTimeoutMs: 2000}).connect(addresses[1] as NodeAddress)
      await servers.kill(1)
      await eventually('it is seen to be gone', async () => {
        return (await errorOf(node.readClusterInfo())).failure === 'refused'
      })
      await servers.restart(1)
      expect((await node.readView()).entries.find(({isMyself}) => isMyself)?.id).toBe(node.id)
    })

    it('is not taken for the node that was there before', async () => {
      const node = await dial().connect(addresses[1] as NodeAddress)
      // With a new ID behind the same address, as when a container was replaced.
      await rawCommand(servers.addresses[1] as string, ['CLUSTER', 'RESET', 'HARD'])
      await servers.restart(1)
      await eventually('the new node is seen', async () => {
        return (await errorOf(node.readClusterInfo())).failure === 'wrong-node'
      })
      expect((await errorOf(node.countKeys(0, 0))).failure).toBe('wrong-node')
    })
  })

  it('that is not in cluster mode is told apart', async () => {
    const servers = await startServers(kind, 1, {config: {'cluster-enabled': 'no'}})
    try {
      const error = await errorOf(dial().connect(splitAddress(servers.addresses[0] as string)))
      expect(error.failure).toBe('not-cluster')
    } finally {
      await servers.stop()
    }
  })
})
