/** Which local servers were started, and are they still there? The record is one private file in the state folder. */
import {execFile} from 'node:child_process'
import {existsSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import path from 'node:path'
import {promisify} from 'node:util'
import {InternalError} from '../errors.ts'
import {stateFolder} from '../state/state-folder.ts'
import type {NodeAddress} from '../topology/model.ts'
import type {LocalServer} from './find-server.ts'

export interface LocalNode {
  readonly address: NodeAddress
  readonly pid: number
  /** Its own folder: nodes.conf and server.log are there. Absolute, without symbolic links. */
  readonly folder: string
}

export interface LocalRecord {
  readonly version: 1
  /** ISO 8601 */
  readonly startedAt: string
  /** The process that starts, or started, the servers. */
  readonly starter: number
  readonly server: LocalServer
  readonly primaries: number
  /** For each primary. */
  readonly replicas: number
  /** The folder that holds the nodes' folders, and whether it was made for them. */
  readonly base: string
  readonly isBaseOurs: boolean
  readonly nodes: readonly LocalNode[]
}

function recordFile(env: NodeJS.ProcessEnv): string {
  return path.join(stateFolder(env), 'local.json')
}

/** undefined when nothing was started. */
export function readRecord(env: NodeJS.ProcessEnv): LocalRecord | undefined {
  const file = recordFile(env)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const record = JSON.parse(text) as LocalRecord
    if (record.version === 1 && Array.isArray(record.nodes)) return record
  } catch {
    // Said below: what it says of running servers must not be thrown away unseen.
  }
  throw new InternalError(`${file} is not a record of local servers`, {
    suggestions: ['Look which servers it names, end them, and remove the file.'],
  })
}

/** The first record; false when there is one already: of two that start at once, one gets it. */
export function claimRecord(env: NodeJS.ProcessEnv, record: LocalRecord): boolean {
  try {
    writeFileSync(recordFile(env), JSON.stringify(record, null, 2), {mode: 0o600, flag: 'wx'})
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

export function replaceRecord(env: NodeJS.ProcessEnv, record: LocalRecord): void {
  const file = recordFile(env)
  writeFileSync(`${file}.new`, JSON.stringify(record, null, 2), {mode: 0o600})
  renameSync(`${file}.new`, file)
}

export function removeRecord(env: NodeJS.ProcessEnv): void {
  rmSync(recordFile(env), {force: true})
}

export function isProcessAlive(pid: number): boolean {
  // 0 and below would speak to groups of processes.
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Does the process still run, and is it that server and not another that got its number? */
export async function isRunning({pid, folder, address}: LocalNode): Promise<boolean> {
  if (!isProcessAlive(pid)) return false
  if (existsSync('/proc/self/cwd')) {
    try {
      // A server works in its own folder, and nobody else does. A folder that was removed under it gets this mark.
      return readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '') === folder
    } catch {
      return false
    }
  }
  try {
    // The servers write their address into their title: "redis-server 127.0.0.1:7000 [cluster]".
    const {stdout} = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'command='])
    return new RegExp(`-server\\b.*:${address.port}\\b`).test(stdout)
  } catch {
    return false
  }
}
