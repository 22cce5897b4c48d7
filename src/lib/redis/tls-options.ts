/** What does a TLS connection to one server ask for, and what name must the server's certificate bear? Values only. */
import {checkServerIdentity, type ConnectionOptions as NodeTlsOptions, type PeerCertificate} from 'node:tls'

export interface TlsOptions {
  /** PEM; the system's authorities when undefined. */
  readonly ca: readonly Buffer[] | undefined
  readonly cert: Buffer | undefined
  readonly key: Buffer | undefined
  /** The name to ask for, and the only one that the certificate may bear. */
  readonly servername: string | undefined
  /** Beyond the chain: 'names' wants the right name of servers that go by one, 'full' the right name or address of all. */
  readonly verify: 'chain' | 'names' | 'full'
  /** Do not even verify the chain. */
  readonly isInsecure: boolean
  /** Suites of TLS 1.3 and ciphers of older versions, in OpenSSL's words; Node's own when undefined. */
  readonly ciphers?: string | undefined
}

/** `hosts`: all names and addresses that the server goes by, that by which it is dialled first. One of them is enough. */
export function tlsTo(hosts: readonly string[], tls: TlsOptions): NodeTlsOptions {
  const servername = tls.servername ?? hosts.find(isName)
  const expected = tls.servername === undefined ? [...new Set(hosts)] : [tls.servername]
  const isIdentityWanted = tls.verify === 'full' || (tls.verify === 'names' && servername !== undefined)
  return {
    ...(tls.ca ? {ca: [...tls.ca]} : {}),
    ...(tls.cert ? {cert: tls.cert} : {}),
    ...(tls.key ? {key: tls.key} : {}),
    ...(tls.ciphers === undefined ? {} : {ciphers: tls.ciphers}),
    ...(servername === undefined ? {} : {servername}),
    checkServerIdentity: (_, certificate) => (isIdentityWanted ? findMismatch(expected, certificate) : undefined),
    rejectUnauthorized: !tls.isInsecure,
  }
}

/** undefined when the certificate is for one of them. */
function findMismatch(hosts: readonly string[], certificate: PeerCertificate): Error | undefined {
  const errors = hosts.map((host) => checkServerIdentity(host, certificate))
  if (errors.includes(undefined)) return undefined
  return Object.assign(errors[0] ?? new Error('the server has no name'), {host: hosts.join(' or ')})
}

/** An address is no name; SNI (RFC 6066, section 3) takes none. */
function isName(host: string): boolean {
  return /[a-z]/i.test(host) && !host.includes(':')
}
