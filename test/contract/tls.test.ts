/** Whom do we take for the right server, and what is said of one whose certificate does not fit? Servers of Node's own. */
import {once} from 'node:events'
import {type AddressInfo, createServer as createPlainServer, type Server} from 'node:net'
import {createServer as createTlsServer} from 'node:tls'
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest'
import {connectionOptionsFrom} from '../../src/lib/cli/connection.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {openClusterPort} from '../../src/lib/redis/connect.ts'
import {type CertificateOptions, openCertificates} from '../support/certificates.ts'

const certificates = openCertificates()
const {file, read} = certificates
const ID = 'a'.repeat(40)
let server: Server | undefined

beforeAll(() => {
  for (const authority of ['ca', 'other-ca']) certificates.issue(authority, {isAuthority: true})
  certificates.issue('between', {signer: 'ca', isAuthority: true})
  certificates.bundle('ca-and-between', ['ca', 'between'])
})
afterAll(() => certificates.close())
afterEach(() => server?.close())

interface Trial {
  readonly host?: string
  readonly hostname?: string
  readonly flags?: Record<string, string | boolean>
}

/** 'connected' or what is said instead. */
async function dial({host = 'localhost', hostname, flags = {cacert: file('ca.pem')}}: Trial): Promise<string> {
  if (!server) throw new Error('serve() comes first')
  const {port} = server.address() as AddressInfo
  const options = connectionOptionsFrom({tls: true, ...flags, 'connect-timeout': 1000} as never, undefined, [], {})
  const cluster = openClusterPort(options)
  try {
    await cluster.connect({host, port}, ID, hostname)
    return 'connected'
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return [`${error.failure} ${error.message}`, ...error.suggestions].join('\n')
  } finally {
    cluster.close()
  }
}

const askedNames: (string | false | null)[] = []
let issued = 0

/** Answers CLUSTER MYID and CLIENT INFO, which come together. `chain`: of what is to be sent after the certificate. */
async function serve(issue: CertificateOptions, chain: readonly string[] = []): Promise<string> {
  const name = `server-${issued++}`
  certificates.issue(name, issue)
  certificates.bundle(`${name}-chain`, [name, ...chain])
  const own = createTlsServer({key: read(`${name}.key`), cert: read(`${name}-chain.pem`)}, (socket) => {
    askedNames.push(socket.servername)
    socket.on('error', () => {})
    socket.once('data', () => socket.write(`$40\r\n${ID}\r\n-ERR unknown command 'CLIENT'\r\n`))
  })
  own.on('tlsClientError', () => {})
  server = own.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return name
}

describe('a server is refused whose certificate', () => {
  const names = 'DNS:localhost'
  test.each<{is: string; issue: CertificateOptions; says: RegExp} & Trial>([
    {is: 'has expired', issue: {names, signer: 'ca', days: -1}, says: /has expired\n.*Renew it[\s\S]*--insecure/},
    {is: 'is signed by itself', issue: {names}, says: /signed by nobody but itself\n.*--cacert/},
    {
      is: 'is for another name',
      issue: {names: 'DNS:other.example,IP:10.0.0.9', signer: 'ca'},
      says: /is for other\.example, 10\.0\.0\.9, not for localhost or .*\n.*--sni\n.*--tls-verify chain/,
      hostname: 'cache-1.example',
    },
    {is: 'has no name', issue: {signer: 'ca'}, says: /is for no name, not for localhost/},
    {
      is: 'is signed by an authority that others trust',
      issue: {names, signer: 'ca'},
      flags: {cacert: file('other-ca.pem')},
      says: /no authority known here.*\n.*--cacert/,
    },
    {
      is: 'is signed by an authority in between, which it does not send',
      issue: {names, signer: 'between'},
      says: /no authority known here.*\n.*--cacert.*\n.*in between/,
    },
    {
      is: 'is signed by one that may sign nothing',
      issue: {names, signer: 'server-0'},
      flags: {cacert: file('ca-and-between.pem')},
      says: /no authority known here|may not sign/,
    },
    {
      is: 'is not for the name that is asked for',
      issue: {names, signer: 'ca'},
      flags: {sni: 'somebody.else'},
      says: /is for localhost, not for somebody\.else/,
    },
    {
      is: 'is not for the name that the node announces',
      issue: {names, signer: 'ca'},
      host: '127.0.0.1',
      hostname: 'cache-1.example',
      says: /not for 127\.0\.0\.1 or cache-1\.example/,
    },
    {
      is: 'has no address, where all names are verified',
      issue: {names, signer: 'ca'},
      host: '127.0.0.1',
      flags: {'tls-verify': 'full'},
      says: /is for localhost, not for 127\.0\.0\.1/,
    },
  ])('$is', async ({issue, says, flags, ...trial}) => {
    await serve(issue)
    const told = await dial({...trial, flags: {cacert: file('ca.pem'), ...flags}})
    expect(told).toMatch(/^tls TLS to \S+ failed: the server's|^tls TLS to \S+ failed: no authority/)
    expect(told).toMatch(says)
  })
})

describe('a server is taken whose certificate', () => {
  const wrong = 'DNS:other.example'
  test.each<{is: string; issue: CertificateOptions; chain?: string[]} & Trial>([
    {is: 'is for the name that is dialled', issue: {names: 'DNS:localhost', signer: 'ca'}},
    {is: 'comes with the authority in between', issue: {names: 'DNS:localhost', signer: 'between'}, chain: ['between']},
    {
      is: 'is signed by an authority in between, which is known here',
      issue: {names: 'DNS:localhost', signer: 'between'},
      flags: {cacert: file('ca-and-between.pem')},
    },
    {is: 'has another name, when only an address is dialled', issue: {names: wrong, signer: 'ca'}, host: '127.0.0.1'},
    {
      is: 'is for the name that the node announces, whatever is dialled',
      issue: {names: 'DNS:cache-1.example', signer: 'ca'},
      host: '127.0.0.1',
      hostname: 'cache-1.example',
      flags: {'tls-verify': 'full'},
    },
    {
      is: 'is for the address, where all names are verified',
      issue: {names: 'IP:127.0.0.1', signer: 'ca'},
      host: '127.0.0.1',
      flags: {'tls-verify': 'full'},
    },
    {is: 'is for the name that --sni gives', issue: {names: wrong, signer: 'ca'}, flags: {sni: 'other.example'}},
    {
      is: 'has another name, where the chain is enough',
      issue: {names: wrong, signer: 'ca'},
      flags: {'tls-verify': 'chain'},
    },
    {is: 'is anything, with --insecure', issue: {names: wrong, days: -1}, flags: {insecure: true}},
  ])('$is', async ({issue, chain, flags, ...trial}) => {
    await serve(issue, chain)
    expect(await dial({...trial, flags: {cacert: file('ca.pem'), ...flags}})).toBe('connected')
  })

  test('is the very one that is trusted', async () => {
    const name = await serve({names: 'DNS:localhost'})
    expect(await dial({flags: {cacert: file(`${name}.pem`)}})).toBe('connected')
  })
})

test('a server is asked for the name that it announces, or that --sni gives, never for an address', async () => {
  await serve({names: 'DNS:cache-1.example', signer: 'ca'})
  askedNames.length = 0
  const flags = {cacert: file('ca.pem'), 'tls-verify': 'chain'}
  await dial({host: '127.0.0.1', hostname: 'cache-1.example', flags})
  await dial({host: '127.0.0.1', flags: {...flags, sni: 'front.example'}})
  await dial({host: '127.0.0.1', flags})
  expect(askedNames).toEqual(['cache-1.example', 'front.example', false])
})

test('a key that belongs to another certificate is refused before anything is dialled', async () => {
  certificates.issue('ours', {signer: 'ca'})
  const flags = {tls: true, cert: file('ours.pem'), key: file('ca.key')}
  expect(() => connectionOptionsFrom(flags, undefined, [], {})).toThrow(/--cert .* and --key .* do not belong together/)
})

test('a list of ciphers leaves the other one as it is', async () => {
  await serve({names: 'DNS:localhost', signer: 'ca'})
  const cacert = file('ca.pem')
  const lists: Record<string, string>[] = [
    {'tls-ciphers': 'ECDHE-ECDSA-AES256-GCM-SHA384'},
    {'tls-ciphersuites': 'TLS_AES_128_GCM_SHA256'},
  ]
  for (const list of lists) expect(await dial({flags: {cacert, ...list}})).toBe('connected')
})

describe('a port without TLS is told from one where nobody says anything', () => {
  test.each([
    {
      name: 'an error reply',
      answer: '-ERR Protocol error: unbalanced quotes in request\r\n',
      says: /does not speak TLS\nLeave --tls out/,
    },
    {name: 'silence', answer: '', says: /^timeout .* took the connection, and said nothing in TLS within 1 s\n/},
  ])('$name', async ({answer, says}) => {
    server = createPlainServer((socket) => {
      socket.on('error', () => {})
      if (answer !== '') socket.once('data', () => socket.end(answer))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    expect(await dial({})).toMatch(says)
  })
})
