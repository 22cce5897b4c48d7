/** Which function libraries of a declaration do primaries lack, and how do they get them? Safe to run again. */
import {ClusterError, InterruptedError, NodeError} from '../errors.ts'
import type {DeclaredLibrary, DesiredStage, FunctionsPlan} from '../plan/desired.ts'
import {compare} from '../plan/move-plan.ts'
import {functionPayload, payloadVersion} from '../rdb/payload.ts'
import {formatAddress} from '../topology/model.ts'
import {findNode} from '../topology/queries.ts'
import {digestOfCode, librariesAt} from './cluster-functions.ts'
import type {NodePort} from './cluster-port.ts'
import {failureOf} from './keep-setting.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

/** Of primaries, members or not yet; empty when all have them so. Reads only. @throws NodeError when one does not tell. */
export async function functionsStage(
  primaries: readonly NodePort[],
  declared: readonly DeclaredLibrary[],
): Promise<readonly DesiredStage[]> {
  if (declared.length === 0) return []
  const found = await mapBounded(primaries, 128, async (port) => {
    return {address: formatAddress(port.address), digests: await digestsAt(port)}
  })
  const changes = declared.flatMap(({name, code}) => {
    const digest = digestOfCode(code)
    const others = found.filter(({digests}) => digests.get(name) !== digest)
    const isReplacing = others.some(({digests}) => digests.has(name))
    const nodes = others.map(({address}) => address).sort(compare)
    return nodes.length === 0 ? [] : [{library: name, digest, nodes, isReplacing}]
  })
  return changes.length === 0 ? [] : [{stage: 'functions', plan: {version: 1, kind: 'functions', changes}}]
}

/** All libraries of a primary or none, read again. @throws ClusterError that names primaries without them. */
export async function applyFunctions(
  session: ClusterSession,
  {changes}: FunctionsPlan,
  declared: readonly DeclaredLibrary[],
): Promise<void> {
  const addresses = [...new Set(changes.flatMap(({nodes}) => nodes))]
  const failures = await mapBounded(addresses, 128, async (address) => {
    const node = findNode(session.topology, address)
    if (!node) return [`${address} is no member any more`]
    const own = new Set(changes.filter(({nodes}) => nodes.includes(address)).map(({library}) => library))
    const libraries = declared.filter(({name}) => own.has(name))
    return (await failureOf(() => load(session.node(node.id), libraries))) ?? []
  })
  const failed = failures.flat()
  if (failed.length === 0) return
  const message = `${failed.length} of ${addresses.length} primaries did not get the functions: ${failed.slice(0, 3).join('; ')}`
  const facts = {suggestions: ['Run the command again: what is there already is let be']}
  if (failed.length === addresses.length) throw new ClusterError('E_NODE', 4, message, facts)
  throw new InterruptedError(`${message}; the others have them`, facts)
}

async function load(port: NodePort, libraries: readonly DeclaredLibrary[]): Promise<void> {
  const version = payloadVersion(await port.dumpFunctions()) ?? 0
  const codes = libraries.map(({code}) => code)
  await port.restoreFunctions(functionPayload(codes, version), true)
  const digests = await digestsAt(port)
  const missing = libraries.filter(({name, code}) => digests.get(name) !== digestOfCode(code)).map(({name}) => name)
  if (missing.length === 0) return
  const address = formatAddress(port.address)
  throw new NodeError('rejected', address, `${address} took ${missing.join(', ')}, and does not have it`)
}

async function digestsAt(port: NodePort): Promise<ReadonlyMap<string, string>> {
  const libraries = await librariesAt(port)
  if ('value' in libraries) return libraries.value
  const address = formatAddress(port.address)
  throw new NodeError('rejected', address, `the functions of ${address} are not known: ${libraries.unknown}`)
}
