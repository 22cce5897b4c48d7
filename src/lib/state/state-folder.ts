/** Where does the product keep what it must remember between runs? In the user's state folder, private to the user. */
import {lstatSync} from 'node:fs'
import {homedir, tmpdir, userInfo} from 'node:os'
import {join} from 'node:path'
import {makeFolder} from '../make-folder.ts'

/**
 * `$XDG_STATE_HOME/rcluster`, `~/.local/state/rcluster`, or a folder of the user's in the temporary folder where there
 * is no home that can be written to. Created with mode 0700; in the temporary folder, where others could have been
 * first, only one that is the user's alone counts.
 * @throws an Error when there is none.
 */
export function stateFolder(env: NodeJS.ProcessEnv): string {
  const home = env['HOME'] || homedir()
  const shared = join(tmpdir(), `rcluster-${userInfo().uid}`)
  const candidates = [
    env['XDG_STATE_HOME'] ? join(env['XDG_STATE_HOME'], 'rcluster') : undefined,
    home ? join(home, '.local', 'state', 'rcluster') : undefined,
    shared,
  ]
  let failure: unknown
  for (const folder of candidates) {
    if (folder === undefined) continue
    try {
      makeFolder(folder, 0o700)
      if (folder === shared) requirePrivate(folder)
      return folder
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

function requirePrivate(folder: string): void {
  const found = lstatSync(folder)
  const isOurs = found.isDirectory() && found.uid === userInfo().uid && (found.mode & 0o077) === 0
  if (!isOurs) throw new Error(`${folder} is not this user's alone`)
}
