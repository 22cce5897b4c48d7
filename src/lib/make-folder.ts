/** Makes a folder, and always comes back. */
import {mkdirSync, statSync} from 'node:fs'
import path from 'node:path'

/**
 * Makes the folder and those above it that are missing, each with this mode. Not `recursive` of node:fs: that never
 * returns where a folder is there and yet says ENOENT to whatever is to be made in it, as /proc does (Node 20).
 * @returns false when it was there before.
 * @throws the system's error when it cannot be made, or when something that is no folder is in its place.
 */
export function makeFolder(folder: string, mode: number): boolean {
  try {
    return makeOne(folder, mode)
  } catch (error) {
    const parent = path.dirname(folder)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder) throw error
    makeFolder(parent, mode)
  }
  return makeOne(folder, mode)
}

function makeOne(folder: string, mode: number): boolean {
  try {
    mkdirSync(folder, {mode})
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && statSync(folder).isDirectory()) return false
    throw error
  }
}
