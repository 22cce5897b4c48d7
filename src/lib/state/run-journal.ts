/**
 * Which runs of ours were cut off, and what did they mean to do? The nodes tell how far every slot is; only the meaning
 * (whose move is this, how many slots were asked for) is kept here, so that the same command, run again after a kill -9,
 * finishes what it began. See docs/decisions/0004-run-journal.md.
 */
import {randomBytes} from 'node:crypto'
import {readdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {hostname} from 'node:os'
import {basename, join} from 'node:path'
import type {MovePlan, SlotMove} from '../plan/plan.ts'
import type {Topology} from '../topology/model.ts'
import {stateFolder} from './state-folder.ts'

export interface RunRecord {
  readonly version: 1
  /** Equal for two commands that ask for the same. */
  readonly intent: string
  readonly plan: MovePlan
  readonly pid: number
  readonly host: string
  /** The program's file, to tell our process from another that got its number. */
  readonly program: string
  /** ISO 8601. */
  readonly startedAt: string
  /** Settings that are changed for the time of the run. */
  readonly held?: readonly {readonly id: string; readonly name: string; readonly before: string}[]
  /** The file that holds it. */
  readonly file: string
}

/** A run that was cut off longer ago than this is not gone on with: the same words may mean something new by then. */
const RESUME_WINDOW_MS = 60 * 60 * 1000

function journalFolder(env: NodeJS.ProcessEnv): string {
  return stateFolder(env)
}

/** Records `plan` as begun by this process. @throws the file system's error when it cannot be written. */
export function beginRun(env: NodeJS.ProcessEnv, intent: string, plan: MovePlan): RunRecord {
  const file = join(journalFolder(env), `run-${Date.now()}-${randomBytes(4).toString('hex')}.json`)
  const record: RunRecord = {
    version: 1,
    intent,
    plan,
    pid: process.pid,
    host: hostname(),
    program: basename(process.argv[1] ?? ''),
    startedAt: new Date().toISOString(),
    file,
  }
  removeForgotten(env)
  writeRecord(record)
  return record
}

/** Adds to the record what has to be restored when the run is cut off. */
export function noteHeld(record: RunRecord, held: NonNullable<RunRecord['held']>): void {
  writeRecord({...record, held})
}

/** Written aside first: a record is whole or it is not there. */
function writeRecord(record: RunRecord): void {
  writeFileSync(`${record.file}.tmp`, JSON.stringify(record), {mode: 0o600})
  renameSync(`${record.file}.tmp`, record.file)
}

/** Clusters come and go: nobody asks for a record this old any more. */
const FORGOTTEN_MS = 30 * 24 * 60 * 60 * 1000

function removeForgotten(env: NodeJS.ProcessEnv): void {
  for (const name of readdirSync(journalFolder(env))) {
    const time = /^run-(\d+)-/.exec(name)?.[1]
    if (time && Date.now() - Number(time) > FORGOTTEN_MS) rmSync(join(journalFolder(env), name), {force: true})
  }
}

/** Nothing is left to go on with. */
export function endRun(record: RunRecord): void {
  rmSync(record.file, {force: true})
}

/** Records of runs on this cluster, the newest first; files that are no records of this version are passed over. */
export function readRuns(env: NodeJS.ProcessEnv, topology: Topology): RunRecord[] {
  const folder = journalFolder(env)
  const records: RunRecord[] = []
  for (const name of readdirSync(folder)) {
    if (!/^run-.*\.json$/.test(name)) continue
    try {
      const record = JSON.parse(readFileSync(join(folder, name), 'utf8')) as RunRecord
      if (record.version === 1 && Array.isArray(record.plan.moves)) records.push({...record, file: join(folder, name)})
    } catch {
      // Another process may just have ended its run.
    }
  }
  const isMember = (id: string): boolean => topology.nodesById.has(id)
  return records
    .filter(
      ({plan, held = []}) =>
        plan.moves.some(({from, to}) => isMember(from) && isMember(to)) || held.some(({id}) => isMember(id)),
    )
    .sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1))
}

/** Is the process that wrote the record still at work? Only this machine's processes can be asked. */
export function isAlive(record: RunRecord): boolean {
  if (record.host !== hostname() || record.pid === process.pid) return false
  try {
    process.kill(record.pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  try {
    return readFileSync(`/proc/${record.pid}/cmdline`, 'utf8').includes(record.program)
  } catch {
    return true
  }
}

/** Moves of the record that are open now: begun, not ended. */
export function startedMoves(record: RunRecord, topology: Topology): SlotMove[] {
  const open = new Map(topology.openSlots.map((slot) => [slot.slot, slot]))
  return record.plan.moves.filter(({slot, from, to}) => {
    const marks = open.get(slot)
    if (!marks) return false
    const ours =
      marks.migrating.every((mark) => mark.node === from && mark.to === to) &&
      marks.importing.every((mark) => mark.node === to && mark.from === from)
    return ours && (topology.owners[slot] === from || topology.owners[slot] === to)
  })
}

/**
 * What is left of a run that the same command goes on with: nothing when it was cut off after its last slot; undefined
 * when it is too old with nothing open, or the slots have gone elsewhere since.
 */
export function leftOfRun(record: RunRecord, topology: Topology, now: Date): SlotMove[] | undefined {
  const started = startedMoves(record, topology)
  const isRecent = now.getTime() - Date.parse(record.startedAt) < RESUME_WINDOW_MS
  if (!isRecent && started.length === 0) return undefined
  const openSlots = new Set(started.map(({slot}) => slot))
  const left = record.plan.moves.filter(({slot, to}) => topology.owners[slot] !== to || openSlots.has(slot))
  return left.every(({slot, from, to}) => topology.owners[slot] === from || topology.owners[slot] === to)
    ? left
    : undefined
}
