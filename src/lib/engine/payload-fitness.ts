/**
 * Do targets understand the values that sources send? The probe does not tell: a target refuses it before it looks at the
 * value. So where versions differ, both ends are asked for theirs, and a target that seems too old is given an empty
 * payload of the source's version, which it refuses either for its version or for having nothing in it. Changes nothing.
 */
import {NodeError} from '../errors.ts'
import type {SlotMove} from '../plan/plan.ts'
import {brokenPayload, isVersionTaken, payloadVersion} from '../rdb/payload.ts'
import {formatAddress, type NodeId, type ServerInfo, type Topology} from '../topology/model.ts'
import {serverInfoOf} from '../topology/queries.ts'
import type {NodePort} from './cluster-port.ts'
import type {PlannedPair} from './planned-pairs.ts'
import type {ClusterSession} from './session.ts'
import {spread} from './spread.ts'
import {joinVerdicts, NOTHING_TO_SAY, type Verdict} from './verdict.ts'
import {mapBounded} from './waiting.ts'

/** Types that need no module. */
const PLAIN_TYPES: ReadonlySet<string> = new Set(['string', 'list', 'set', 'zset', 'hash', 'stream'])
/** Modules of scripts and the like, that keep no values. */
const MODULES_WITHOUT_VALUES: ReadonlySet<string> = new Set(['lua'])
const SAMPLED_SLOTS = 128
const KEYS_PER_SLOT = 4

export async function judgePayloads(session: ClusterSession, pairs: readonly PlannedPair[]): Promise<Verdict> {
  const verdicts = await mapBounded(pairs, 64, async (pair) => {
    const {topology} = session
    const [source, target] = [serverInfoOf(topology, pair.from), serverInfoOf(topology, pair.to)]
    if (!source || !target || source.keysByDatabase.size === 0) return NOTHING_TO_SAY
    return joinVerdicts([
      isSameRelease(source, target) ? NOTHING_TO_SAY : await judgeVersions(session, pair, source, target),
      await judgeModules(session, pair, source, target),
    ])
  })
  return joinVerdicts(verdicts)
}

function isSameRelease(a: ServerInfo, b: ServerInfo): boolean {
  return a.flavour === b.flavour && releaseOf(a) === releaseOf(b)
}

/** "8.6" of "8.6.3": patches do not change the format. */
function releaseOf({version}: ServerInfo): string {
  return version.split('.').slice(0, 2).join('.')
}

async function judgeVersions(
  session: ClusterSession,
  {from, to, isAtomic}: PlannedPair,
  sourceInfo: ServerInfo,
  targetInfo: ServerInfo,
): Promise<Verdict> {
  const [source, target] = [session.node(from), session.node(to)]
  const [sent, taken] = await Promise.all([readRdbVersion(source, sourceInfo), readRdbVersion(target, targetInfo)])
  const [a, b] = [label(session.topology, from), label(session.topology, to)]
  if (sent === undefined || taken === undefined) {
    return {obstacles: [], warnings: [`whether ${b} understands the values of ${a} cannot be told beforehand`]}
  }
  if (isVersionTaken(sent, taken) || (await takesVersion(target, sent))) return NOTHING_TO_SAY
  const message = `${b} does not understand the values that ${a} sends (RDB version ${sent}, it writes ${taken})`
  if (isAtomic) return {obstacles: [], warnings: [`${message}: they can only move atomically`]}
  return {
    obstacles: [
      {
        about: 'payloads',
        message,
        suggestions: [`Move to a node of the source's version or a later one of its kind`],
        details: {source: a, target: b, sourceRdbVersion: sent, targetRdbVersion: taken},
      },
    ],
    warnings: [],
  }
}

/** As its payloads tell, or by its release where the user may not ask; undefined where neither tells. */
async function readRdbVersion(port: NodePort, info: ServerInfo): Promise<number | undefined> {
  try {
    return payloadVersion(await port.dumpFunctions())
  } catch (error) {
    if (!isDenied(error)) throw error
    return RDB_VERSIONS[`${info.flavour} ${releaseOf(info)}`]
  }
}

/**
 * Seen in what FUNCTION DUMP answers, but for those before functions: RDB_VERSION in src/rdb.h of each release. Others are
 * not listed, and nothing is said of them.
 */
const RDB_VERSIONS: Readonly<Record<string, number>> = {
  'redis 6.0': 9,
  'redis 6.2': 9,
  'redis 7.0': 10,
  'redis 7.2': 11,
  'redis 7.4': 12,
  'redis 8.0': 12,
  'redis 8.6': 13,
  'valkey 7.2': 11,
  'valkey 8.0': 11,
  'valkey 8.1': 11,
  'valkey 9.0': 80,
  'valkey 9.1': 80,
}

/** Valkey with rdb-version-check relaxed takes more than its version says. What is sent holds no library: none is loaded. */
async function takesVersion(port: NodePort, version: number): Promise<boolean> {
  try {
    await port.restoreFunctions(brokenPayload(version))
    return false
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return error.failure === 'rejected' && !/version or checksum/i.test(error.message)
  }
}

async function judgeModules(
  session: ClusterSession,
  {from, to, moves}: PlannedPair,
  source: ServerInfo,
  target: ServerInfo,
): Promise<Verdict> {
  const there = new Set(target.modules)
  const missing = (source.modules ?? []).filter((name) => !there.has(name) && !MODULES_WITHOUT_VALUES.has(name))
  if (missing.length === 0) return NOTHING_TO_SAY
  const types = await findModuleTypes(session.node(from), moves)
  const [a, b] = [label(session.topology, from), label(session.topology, to)]
  const lacks = `${b} does not have ${missing.join(', ')}, which ${a} has`
  if (types.length === 0) {
    return {obstacles: [], warnings: [`${lacks}: values of such types cannot move; none was met among some keys`]}
  }
  return {
    obstacles: [
      {
        about: 'payloads',
        message: `${lacks}, and there are values of type ${types.join(', ')}`,
        suggestions: [`Load the same modules on ${b}`],
        details: {source: a, target: b, modules: missing, types},
      },
    ],
    warnings: [],
  }
}

/** Types of modules among some keys of the slots, sorted. */
async function findModuleTypes(port: NodePort, moves: readonly SlotMove[]): Promise<string[]> {
  const found = new Set<string>()
  try {
    const databases = await port.readDatabaseCount()
    for (let database = 0; database < databases; database++) {
      const slots = spread(moves, SAMPLED_SLOTS)
      const listed = await Promise.all(slots.map(({slot}) => port.listKeys(slot, KEYS_PER_SLOT, database)))
      for (const type of await port.readKeyTypes(listed.flat(), database)) {
        if (type !== undefined && !PLAIN_TYPES.has(type)) found.add(type)
      }
    }
  } catch (error) {
    if (!isDenied(error)) throw error
  }
  return [...found].sort()
}

function isDenied(error: unknown): boolean {
  return error instanceof NodeError && ['permission', 'unknown-command'].includes(error.failure)
}

function label(topology: Topology, id: NodeId): string {
  const node = topology.nodesById.get(id)
  const info = serverInfoOf(topology, id)
  return `${node ? formatAddress(node.address) : id.slice(0, 8)}${info ? ` (${info.flavour} ${info.version})` : ''}`
}
