/** With what password, and with what certificates? Reads files and the environment; secrets go to nobody but the caller. */
import {readdirSync, readFileSync, statSync} from 'node:fs'
import path from 'node:path'
import {UsageError} from '../errors.ts'

/** In this order: the first that is set and not empty. */
const PASSWORD_VARIABLES = ['RCLUSTER_PASSWORD', 'VALKEYCLI_AUTH', 'REDISCLI_AUTH'] as const

const READABLE_BY_ALL = 0o004

export function passwordFromEnvironment(env: Readonly<Record<string, string | undefined>>): string | undefined {
  for (const name of PASSWORD_VARIABLES) if (env[name]) return env[name]
  return undefined
}

/** The first line of the file, "-" being stdin. */
export function readPasswordFile(file: string, flag = '--password-file'): string {
  const [line = ''] = readText(file === '-' ? 0 : file, flag).split(/\r?\n/)
  if (line === '') throw new UsageError(`${flag} ${file} has an empty first line`)
  return line
}

/** PEM blocks of the CA file and of all files in the folder that hold some; undefined when neither is given. */
export function readAuthorities(file: string | undefined, folder: string | undefined): Buffer[] | undefined {
  if (file === undefined && folder === undefined) return undefined
  const inFile = file === undefined ? [] : [readCertificate(file, '--cacert')]
  return [...inFile, ...(folder === undefined ? [] : readFolder(folder))]
}

/** `what` it must hold. @throws UsageError when the file cannot be read or is no PEM with that. */
export function readCertificate(file: string, flag: string, what = 'CERTIFICATE'): Buffer {
  const text = readText(file, flag)
  if (!text.includes('-----BEGIN ')) throw new UsageError(`${flag} ${file} is not a PEM file`)
  if (!holds(what, text)) throw new UsageError(`${flag} ${file} holds no ${what.toLowerCase()}`)
  return Buffer.from(text)
}

function readFolder(folder: string): Buffer[] {
  let names: string[]
  try {
    names = readdirSync(folder).sort()
  } catch (error) {
    throw unreadable('--cacertdir', folder, error)
  }
  const texts = names
    .filter((name) => /\.(pem|crt|cer)$|\.\d+$/i.test(name))
    .map((name) => readText(path.join(folder, name), '--cacertdir'))
    .filter((text) => holds('CERTIFICATE', text))
  if (texts.length === 0) throw new UsageError(`--cacertdir ${folder} holds no certificate (.pem, .crt, .cer)`)
  return texts.map((text) => Buffer.from(text))
}

function holds(what: string, pem: string): boolean {
  return new RegExp(`-----BEGIN [A-Z0-9 ]*${what}-----`).test(pem)
}

/** What to tell whoever keeps a secret in a file that everybody on this machine can read; undefined where all is well. */
export function adviceOnSecretFile(file: string, flag: string): string | undefined {
  const mode = statSync(file, {throwIfNoEntry: false})?.mode ?? 0
  if ((mode & READABLE_BY_ALL) === 0) return undefined
  return `Everybody on this machine can read ${flag} ${file}: chmod 600 ${file} keeps it to yourself`
}

/** Read once, however often it is asked for. */
let stdin: string | undefined

/** 0: stdin. @throws UsageError naming flag and file when it cannot be read. */
export function readText(file: string | 0, flag: string): string {
  try {
    if (file !== 0) return readFileSync(file, 'utf8')
    stdin ??= readFileSync(0, 'utf8')
    return stdin
  } catch (error) {
    throw unreadable(flag, file === 0 ? '-' : file, error)
  }
}

function unreadable(flag: string, file: string, error: unknown): UsageError {
  const {code} = error as NodeJS.ErrnoException
  const why: Readonly<Record<string, string>> = {
    ENOENT: 'does not exist',
    EACCES: 'may not be read by this user',
    EISDIR: 'is a folder',
    ENOTDIR: 'is not a folder',
  }
  return new UsageError(`${flag} ${file} ${why[code ?? ''] ?? `cannot be read (${code})`}`, {cause: error})
}
