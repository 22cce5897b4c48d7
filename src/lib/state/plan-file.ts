/**
 * How is a plan kept in a file, and read back? Written whole or not at all, private to the user; read only when every part
 * of it makes sense, else a UsageError names the file and the place in it.
 */
import {UsageError} from '../errors.ts'
import {fingerprintOf} from '../plan/cluster-sketch.ts'
import type {SlotMove} from '../plan/plan.ts'
import {PLAN_FORMAT, PLAN_VERSION, type PlanFile, type SavedCommand} from '../plan/plan-file.ts'
import {formatSlots, parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import type {NodeId} from '../topology/model.ts'
import {type FileKind, firstError, parseDocument, readWhole, requireReplaceable, validatorOf} from './format-file.ts'
import {writeWhole} from './write-whole.ts'

const PLAN: FileKind = {
  format: PLAN_FORMAT,
  version: PLAN_VERSION,
  noun: 'plan',
  madeBy: 'A plan is written by --out FILE',
  seeWith: (file) => `See what it does: rcluster apply ${file} --dry-run`,
}

/** May a plan be written there? To be asked before the work of planning. @throws as `requireReplaceable` */
export function requireWritable(file: string, isReplacing: boolean): void {
  requireReplaceable(file, isReplacing, PLAN)
}

/** @throws UsageError with what the file system says. */
export function writePlanFile(file: string, plan: PlanFile, isReplacing: boolean): void {
  requireWritable(file, isReplacing)
  try {
    writeWhole(file, formatPlanFile(plan), 0o600)
  } catch (error) {
    throw new UsageError(`--out ${file} cannot be written: ${(error as Error).message}`, {cause: error})
  }
}

/** One move, or slot, a line: plans are read by people, and compared. */
export function formatPlanFile(plan: PlanFile): string {
  const text = JSON.stringify(plan, undefined, 2)
  return `${text.replace(/\{\s+"slot": \d+(?:,\s+"\w+": (?:"\w+"|[\d.]+))+\s+\}/g, (one) => one.replace(/(?<=\{)\s+|\s+(?=\})/g, '').replace(/\s+/g, ' '))}\n`
}

/** @throws UsageError that names the file and the place in it. */
export async function readPlanFile(file: string): Promise<PlanFile> {
  return parsePlanFile(readWhole(file, PLAN), file)
}

/** As `readPlanFile`; `file` is what it is called in errors. */
export async function parsePlanFile(text: string, file: string): Promise<PlanFile> {
  const document = parseDocument(text, file, PLAN)
  const validate = await validator()
  if (!validate(document)) {
    const {place, problem} = firstError(validate.errors)
    throw damaged(file, place, problem)
  }
  const plan = document as PlanFile
  requireSense(plan, file)
  return plan
}

const validator = validatorOf(readSchema)

interface Schema {
  readonly $defs: Readonly<Record<string, {readonly properties?: Readonly<Record<string, unknown>>}>>
}

async function readSchema(): Promise<Schema> {
  const {default: schema} = await import('../../../schemas/plan-v1.json', {with: {type: 'json'}})
  return schema as unknown as Schema
}

/** The flags of a command that are kept with its plan. */
export async function optionNames(command: SavedCommand): Promise<string[]> {
  return Object.keys((await readSchema()).$defs[`options-${command}`]?.properties ?? {})
}

function damaged(file: string, place: string, problem: string): UsageError {
  return new UsageError(`${file} is not a plan that can be carried out: ${place || 'the whole'} ${problem}`, {
    details: {file, place},
    suggestions: ['Make a new one with --out: a plan that was edited by hand has to fit in every part'],
  })
}

/** What a schema cannot say. */
function requireSense({cluster, command, plan}: PlanFile, file: string): void {
  const owners = new Map<number, NodeId>()
  for (const [index, {id, slots}] of cluster.nodes.entries()) {
    for (const slot of readSlots(file, `/cluster/nodes/${index}/slots`, slots)) {
      if (owners.has(slot)) throw damaged(file, `/cluster/nodes/${index}/slots`, `gives slot ${slot} a second owner`)
      owners.set(slot, id)
    }
  }
  if (fingerprintOf(cluster.nodes) !== cluster.fingerprint) {
    throw damaged(file, '/cluster/fingerprint', 'is not the fingerprint of the nodes')
  }
  const members = new Set(cluster.nodes.map(({id}) => id))
  if (plan.kind === 'create') {
    for (const [index, {slots}] of plan.primaries.entries()) {
      readSlots(file, `/plan/primaries/${index}/slots`, slots)
    }
  } else if (plan.kind === 'fix') {
    for (const [index, {slots}] of plan.repairs.entries()) readSlots(file, `/plan/repairs/${index}/slots`, slots)
  } else if (plan.kind === 'add-node') {
    for (const {id} of plan.newcomers) members.add(id)
    if (plan.moves) requireMoves(file, '/plan/moves/moves', plan.moves.moves, members, owners)
  } else if (plan.kind === 'del-node') {
    if (plan.moves) requireMoves(file, '/plan/moves/moves', plan.moves.moves, members, owners)
  } else if ('moves' in plan) {
    if (command.name !== plan.kind) throw damaged(file, '/plan/kind', `must be "${command.name}"`)
    requireMoves(file, '/plan/moves', plan.moves, members, owners)
  }
}

function readSlots(file: string, place: string, text: string): number[] {
  try {
    const slots = slotsInRanges(parseRanges(text))
    if (formatSlots(slots) !== text) throw new RangeError(`"${text}" is not how slots are written`)
    return slots
  } catch (error) {
    throw damaged(file, place, `is wrong: ${(error as Error).message}`)
  }
}

function requireMoves(
  file: string,
  place: string,
  moves: readonly SlotMove[],
  members: ReadonlySet<NodeId>,
  owners: ReadonlyMap<number, NodeId>,
): void {
  const seen = new Set<number>()
  for (const [index, {slot, from, to}] of moves.entries()) {
    const at = `${place}/${index}`
    if (seen.has(slot)) throw damaged(file, at, `moves slot ${slot} a second time`)
    if (from === to) throw damaged(file, at, `moves slot ${slot} to its own source`)
    const stranger = [from, to].find((id) => !members.has(id))
    if (stranger !== undefined) throw damaged(file, at, `names ${stranger}, which is not among the nodes`)
    const owner = owners.get(slot)
    if (owner !== from && owner !== to) throw damaged(file, at, `moves slot ${slot} from a node that did not own it`)
    seen.add(slot)
  }
}
