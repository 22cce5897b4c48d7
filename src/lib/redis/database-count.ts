/** How many databases has a node that does not tell its settings? */
import {NodeError} from '../errors.ts'
import type {Wire} from './wire.ts'

/** More than any server is set up with; one that has all that are asked for does not mean what it answers. */
const MOST_DATABASES = 2 ** 24

/**
 * For users without +config|get: the first database that cannot be selected. A wrong answer would lose the keys of
 * those that are not looked at, so a user who may not select either gets the error.
 */
export async function probeDatabaseCount(wire: Wire): Promise<number> {
  const isThere = async (database: number): Promise<boolean> => {
    try {
      await wire.call(['SELECT', database])
      return true
    } catch (error) {
      // "ERR DB index is out of range", or "ERR SELECT is not allowed in cluster mode".
      if (error instanceof NodeError && error.failure === 'rejected') return false
      throw error
    }
  }
  let [there, beyond] = [0, 1]
  while (beyond <= MOST_DATABASES && (await isThere(beyond))) [there, beyond] = [beyond, beyond * 2]
  while (beyond - there > 1) {
    const middle = Math.floor((there + beyond) / 2)
    if (await isThere(middle)) there = middle
    else beyond = middle
  }
  return beyond
}
