/** With what password, and with what certificates? Reads files and the environment; secrets go to nobody but the caller. */
import {readdirSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {UsageError} from '../errors.ts'

/** In this order: the first that is set and not empty. */
const PASSWORD_VARIABLES = ['RCLUSTER_PASSWORD', 'VALKEYCLI_AUTH', 'REDISCLI_AUTH'] as const

export function passwordFromEnvironment(env: Readonly<Record<string, string | undefined>>): string | undefined {
  for (const name of PASSWORD_VARIABLES) if (env[name]) return env[name]
  return undefined
}

/** The first line of the file, "-" being stdin. */
export function readPasswordFile(file: string): string {
  const [line = ''] = readText(file === '-' ? 0 : file, '--password-file').split(/\r?\n/)
  if (line === '') throw new UsageError(`--password-file ${file} has an empty first line`)
  return line
}

/** PEM blocks of the CA file and of all files in the folder; undefined when neither is given. */
export function readAuthorities(file: string | undefined, folder: string | undefined): Buffer[] | undefined {
  const files = file === undefined ? [] : [{name: file, flag: '--cacert'}]
  if (folder !== undefined) files.push(...filesIn(folder).map((name) => ({name, flag: '--cacertdir'})))
  if (files.length === 0) return undefined
  const blocks = files.map(({name, flag}) => readCertificate(name, flag))
  return blocks
}

/** @throws UsageError when the file cannot be read or is no PEM. */
export function readCertificate(file: string, flag: string): Buffer {
  const text = readText(file, flag)
  if (!text.includes('-----BEGIN ')) throw new UsageError(`${flag} ${file} is not a PEM file`)
  return Buffer.from(text)
}

function filesIn(folder: string): string[] {
  let names: string[]
  try {
    names = readdirSync(folder).sort()
  } catch (error) {
    throw unreadable('--cacertdir', folder, error)
  }
  const files = names.filter((name) => /\.(pem|crt|cer)$|\.\d+$/i.test(name)).map((name) => path.join(folder, name))
  if (files.length === 0) throw new UsageError(`--cacertdir ${folder} holds no certificate (.pem, .crt, .cer)`)
  return files
}

/** 0: stdin. @throws UsageError naming flag and file when it cannot be read. */
export function readText(file: string | 0, flag: string): string {
  try {
    return readFileSync(file, 'utf8')
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
