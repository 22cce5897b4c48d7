/** Where do the keys of an import come from, and how is that server reached? It has a login and TLS of its own. */
import * as Flags from '@oclif/core/flags'
import type {InferredFlags} from '@oclif/core/interfaces'
import {persistently, type SourceServer} from '../engine/read-source.ts'
import {type ClusterSession, openSession} from '../engine/session.ts'
import {mapBounded} from '../engine/waiting.ts'
import {type ClusterError, NodeError, RefusedError, UsageError} from '../errors.ts'
import {requireFitForMoves} from '../findings/require.ts'
import {openClusterPort} from '../redis/connect.ts'
import type {ConnectionOptions} from '../redis/connection-options.ts'
import {openSourcePort} from '../redis/source-client.ts'
import {formatAddress, type NodeAddress} from '../topology/model.ts'
import {primaries, slotMapFingerprint} from '../topology/queries.ts'
import {connectionOptionsFrom} from './connection.ts'
import type {connectionFlags} from './flags.ts'
import {adviceOn} from './node-advice.ts'
import type {AddressReference} from './node-argument.ts'

const SOURCE = 'SOURCE'
const CONNECTED_AT_ONCE = 64

export const sourceFlags = {
  from: Flags.string({
    summary: 'The server to copy from, alone or any node of a cluster; rediss://user:password@host:port too.',
    helpValue: 'NODE',
    helpGroup: SOURCE,
    aliases: ['cluster-from'],
  }),
  'from-user': Flags.string({
    summary: 'ACL user to log in as at the source.',
    helpValue: 'NAME',
    helpGroup: SOURCE,
    aliases: ['cluster-from-user'],
  }),
  'from-password': Flags.string({
    summary: 'Password of the source; shows in the process list, better: RCLUSTER_FROM_PASSWORD.',
    helpValue: 'TEXT',
    helpGroup: SOURCE,
    aliases: ['from-pass', 'cluster-from-pass'],
    noCacheDefault: true,
  }),
  'from-password-file': Flags.string({
    summary: 'Read the password of the source from a file, "-" for stdin.',
    helpValue: 'FILE',
    helpGroup: SOURCE,
    exclusive: ['from-password', 'from-askpass'],
  }),
  'from-askpass': Flags.boolean({
    summary: 'Ask for the password of the source.',
    default: false,
    helpGroup: SOURCE,
    aliases: ['cluster-from-askpass'],
  }),
  'from-tls': Flags.boolean({
    summary: 'Reach the source with TLS, with the certificates below, or else those of the cluster.',
    default: false,
    helpGroup: SOURCE,
  }),
  'from-cacert': Flags.string({
    summary: "Verify the source's certificate with this CA file.",
    helpValue: 'FILE',
    helpGroup: SOURCE,
  }),
  'from-cert': Flags.string({
    summary: 'Client certificate for the source; needs --from-key.',
    helpValue: 'FILE',
    helpGroup: SOURCE,
    dependsOn: ['from-key'],
  }),
  'from-key': Flags.string({
    summary: 'Private key of --from-cert.',
    helpValue: 'FILE',
    helpGroup: SOURCE,
    dependsOn: ['from-cert'],
  }),
  'from-insecure': Flags.boolean({
    summary: "Do not verify the source's certificate.",
    default: false,
    helpGroup: SOURCE,
  }),
}

type SourceFlags = Partial<InferredFlags<typeof sourceFlags> & InferredFlags<typeof connectionFlags>>

/** A flag wins over the URL, the URL over RCLUSTER_FROM_PASSWORD. The cluster's password is never sent to the source. */
export function sourceConnection(
  flags: SourceFlags,
  reference: AddressReference,
  askedPassword: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): ConnectionOptions {
  const own = {cacert: flags['from-cacert'], cert: flags['from-cert'], key: flags['from-key']}
  const isTls =
    flags['from-tls'] ||
    flags['from-insecure'] ||
    reference.tls ||
    Object.values(own).some((file) => file !== undefined)
  const given = <T>(name: string, value: T | undefined) => (value === undefined ? {} : {[name]: value})
  const tls = isTls && {
    tls: true,
    insecure: flags['from-insecure'] || (flags.insecure ?? false),
    ...given('cacert', own.cacert ?? flags.cacert),
    ...given('cacertdir', own.cacert === undefined ? flags.cacertdir : undefined),
    ...given('cert', own.cert ?? flags.cert),
    ...given('key', own.key ?? flags.key),
    ...given('tls-verify', flags['tls-verify']),
    ...given('tls-ciphers', flags['tls-ciphers']),
    ...given('tls-ciphersuites', flags['tls-ciphersuites']),
  }
  const read = () =>
    connectionOptionsFrom(
      {
        ...given('user', flags['from-user']),
        ...given('password', flags['from-password']),
        ...given('password-file', flags['from-password-file']),
        ...given('address-map', flags['address-map']),
        ...given('connect-timeout', flags['connect-timeout']),
        ...given('command-timeout', flags['command-timeout']),
        ...tls,
      },
      askedPassword,
      [reference],
      {RCLUSTER_PASSWORD: env['RCLUSTER_FROM_PASSWORD']},
    )
  try {
    return read()
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const {message, details, suggestions, cause} = error
    throw new UsageError(inWordsOfSource(message), {details, suggestions: suggestions.map(inWordsOfSource), cause})
  }
}

/** Flags and variables by the names that they have for the source. */
function inWordsOfSource(text: string): string {
  return text
    .replaceAll(/--(password-file|password|askpass|user|tls|cacert|cert|key|insecure)(?![\w-])/g, '--from-$1')
    .replaceAll('RCLUSTER_PASSWORD', 'RCLUSTER_FROM_PASSWORD')
}

export interface Source {
  readonly address: string
  /** "redis 7.0.15" */
  readonly server: string
  /** All that hold keys: the server itself, or every primary of its cluster. */
  readonly servers: readonly SourceServer[]
  readonly keysByDatabase: ReadonlyMap<number, number>
  /** Its cluster; undefined for a server alone. */
  readonly session: ClusterSession | undefined
  /** undefined for a server alone. */
  readonly fingerprint: string | undefined
  close(): void
}

/**
 * Connects, and looks at the whole of it.
 * @throws NodeError as the servers answer, RefusedError when it is a cluster of which keys cannot be read.
 */
export async function openSource(address: NodeAddress, options: ConnectionOptions): Promise<Source> {
  const closers: (() => void)[] = []
  const close = (): void => {
    for (const end of closers) end()
  }
  const open = async (at: NodeAddress): Promise<SourceServer> => {
    const port = openSourcePort(at, options)
    closers.push(() => port.close())
    return {port, facts: await port.readFacts()}
  }
  try {
    const first = await open(options.addressMap?.dialledFor(address) ?? address)
    const {info, isInCluster} = first.facts
    const session = isInCluster ? await openItsCluster(address, options, closers) : undefined
    const servers = session ? await mapBounded(addressesIn(session), CONNECTED_AT_ONCE, open) : [first]
    const keysByDatabase = new Map<number, number>()
    for (const {facts} of servers) {
      for (const [database, keys] of facts.info.keysByDatabase) {
        keysByDatabase.set(database, (keysByDatabase.get(database) ?? 0) + keys)
      }
    }
    return {
      address: formatAddress(address),
      server: `${info.flavour} ${info.version}`,
      servers,
      keysByDatabase,
      session,
      fingerprint: session && slotMapFingerprint(session.topology),
      close,
    }
  } catch (error) {
    close()
    throw error instanceof NodeError ? atSource(error, options) : error
  }
}

async function openItsCluster(
  address: NodeAddress,
  options: ConnectionOptions,
  closers: (() => void)[],
): Promise<ClusterSession> {
  const port = openClusterPort(options)
  closers.push(() => port.close())
  const session = await openSession(port, [address])
  try {
    requireFitForMoves(session.topology, {resumable: []})
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error
    const {reason, message, details, suggestions} = error
    throw new RefusedError(reason, `keys of the source would be missed: ${message}`, {
      details,
      suggestions,
      cause: error,
    })
  }
  return session
}

/** Where its primaries are dialled. */
function addressesIn(session: ClusterSession): NodeAddress[] {
  return primaries(session.topology)
    .filter(({reach}) => reach.kind === 'reached')
    .map(({id}) => session.node(id).address)
}

/** Advice in words of the flags that are about the source. */
export function atSource(error: NodeError, options: ConnectionOptions): ClusterError {
  const facts = {
    hasPassword: options.logins?.hasAny ?? false,
    usesTls: options.tls !== undefined,
    isDefaultSeed: false,
    command: 'import',
  }
  const advice = error.suggestions.length > 0 ? error.suggestions : adviceOn(error, facts)
  const suggestions = advice.map(inWordsOfSource)
  const {failure, address, message, details, isFromTarget, cause} = error
  return new NodeError(failure, address, message, {details, isFromTarget, suggestions, cause})
}

/** How far the clocks of the cluster are ahead of the source's; 0 where that may be chance, or nobody tells. */
export async function measureClockShift(source: Source, target: ClusterSession): Promise<number> {
  const [first] = source.servers
  const leader = target.reachedPorts().find(({id}) => target.topology.nodesById.get(id)?.role === 'primary')
  if (!first || !leader) return 0
  const ahead = async (read: () => Promise<number | undefined>): Promise<number> => {
    const askedMs = Date.now()
    const toldMs = await read()
    // Half of the time that it took is the way there.
    return toldMs === undefined ? 0 : toldMs - (askedMs + Date.now()) / 2
  }
  const here = await persistently(first, undefined, () => ahead(() => first.port.readClock()))
  const there = await ahead(() => leader.readClock())
  const shiftMs = Math.round(there - here)
  return Math.abs(shiftMs) < CLOCK_TOLERANCE_MS ? 0 : shiftMs
}

/** Closer clocks are those of machines that keep them: then the end of every life is copied to the millisecond. */
const CLOCK_TOLERANCE_MS = 1000
