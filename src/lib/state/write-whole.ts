/** How does a file come to be whole or not at all? Written aside, then renamed. */
import {randomBytes} from 'node:crypto'
import {renameSync, rmSync, writeFileSync} from 'node:fs'
import path from 'node:path'

/** What was there is replaced. @throws what the file system throws; nothing is left behind. */
export function writeWhole(file: string, text: string, mode: number): void {
  const aside = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(4).toString('hex')}.tmp`)
  try {
    writeFileSync(aside, text, {mode, flag: 'wx', flush: true})
    renameSync(aside, file)
  } catch (error) {
    rmSync(aside, {force: true})
    throw error
  }
}
