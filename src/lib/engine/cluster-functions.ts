/** How do primaries get the function libraries that they lack? Copied as they are, read again. Safe to run again. */
import {createHash} from 'node:crypto'
import {NodeError} from '../errors.ts'
import type {FunctionSyncPlan, LibraryCopy} from '../plan/function-sync.ts'
import {functionPayload, librariesIn, payloadVersion} from '../rdb/payload.ts'
import type {ClusterNode, NodeId} from '../topology/model.ts'
import type {NodeDetails} from '../topology/node-details.ts'
import {labelId} from '../topology/queries.ts'
import type {NodePort} from './cluster-port.ts'
import {failureOf} from './keep-setting.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

const AT_ONCE = 128

export interface NodeLibraries {
  readonly node: ClusterNode
  /** SHA-256 of the code by the library's name; none on servers without functions. */
  readonly libraries: NodeDetails['libraries']
}

/** One result a node, in the order of `nodes`. Reads only. */
export function readLibraries(session: ClusterSession, nodes: readonly ClusterNode[]): Promise<NodeLibraries[]> {
  return mapBounded(nodes, AT_ONCE, async (node): Promise<NodeLibraries> => {
    let libraries: NodeDetails['libraries'] = {value: new Map()}
    const unknown = await failureOf(async () => {
      libraries = await librariesAt(session.node(node.id))
    })
    return {node, libraries: unknown === undefined ? libraries : {unknown}}
  })
}

export async function librariesAt(port: NodePort): Promise<NodeDetails['libraries']> {
  return (await port.readDetails({settings: [], libraries: true, users: false})).libraries
}

/** As `NodeDetails.libraries` has it. */
export function digestOfCode(code: Buffer): string {
  return createHash('sha256').update(code).digest('hex')
}

export interface LibrariesCopied {
  readonly id: NodeId
  readonly libraries: readonly string[]
  /** Why they are not all there; undefined when they are. Then none of them was taken, or what is there is told. */
  readonly failure: string | undefined
}

/** One result for each node that is to get something. @throws NodeError when a source does not tell its code. */
export async function syncFunctions(session: ClusterSession, {copies}: FunctionSyncPlan): Promise<LibrariesCopied[]> {
  const sources = await readCode(session, [...new Set(copies.map(({from}) => from))])
  const targets = [...new Set(copies.map(({to}) => to))]
  return mapBounded(targets, AT_ONCE, async (id) => {
    const own = copies.filter(({to}) => to === id)
    const libraries = own.map(({library}) => library)
    const refusal = await failureOf(async () => {
      const {codes, rdbVersion} = codeOf(own, sources)
      await session.node(id).restoreFunctions(
        functionPayload(codes, rdbVersion),
        own.some(({isReplacing}) => isReplacing),
      )
    })
    return {id, libraries, failure: refusal ?? (await whatIsMissing(session, id, own))}
  })
}

interface Code {
  readonly byDigest: ReadonlyMap<string, Buffer>
  readonly rdbVersion: number
}

async function readCode(session: ClusterSession, ids: readonly NodeId[]): Promise<Map<NodeId, Code>> {
  const dumps = await mapBounded(ids, AT_ONCE, async (id): Promise<[NodeId, Code]> => {
    const payload = await session.node(id).dumpFunctions()
    const byDigest = (librariesIn(payload) ?? []).map((code): [string, Buffer] => [digestOfCode(code), code])
    return [id, {byDigest: new Map(byDigest), rdbVersion: payloadVersion(payload) ?? 0}]
  })
  return new Map(dumps)
}

function codeOf(
  copies: readonly LibraryCopy[],
  sources: ReadonlyMap<NodeId, Code>,
): {codes: Buffer[]; rdbVersion: number} {
  let rdbVersion = 0
  const codes = copies.map(({from, digest, library}) => {
    const source = sources.get(from)
    const code = source?.byDigest.get(digest)
    if (!source || !code) {
      throw new NodeError('try-again', from, `the code of ${library} is not what it was a moment ago; nothing was sent`)
    }
    rdbVersion = Math.max(rdbVersion, source.rdbVersion)
    return code
  })
  return {codes, rdbVersion}
}

async function whatIsMissing(
  session: ClusterSession,
  id: NodeId,
  copies: readonly LibraryCopy[],
): Promise<string | undefined> {
  const label = labelId(session.topology, id)
  const libraries = await librariesAt(session.node(id))
  if ('unknown' in libraries) return `what ${label} has could not be read: ${libraries.unknown}`
  const missing = copies.filter(({library, digest}) => libraries.value.get(library) !== digest)
  if (missing.length === 0) return undefined
  return `${label} took ${missing.map(({library}) => library).join(', ')}, and does not have it`
}
