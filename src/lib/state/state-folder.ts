/** Where does the product keep what it must remember between runs? In the user's state folder, private to the user. */
import {mkdirSync} from 'node:fs'
import {homedir, tmpdir, userInfo} from 'node:os'
import {join} from 'node:path'

/**
 * `$XDG_STATE_HOME/rcluster`, `~/.local/state/rcluster`, or a folder of the user's in the temporary folder where there
 * is no home that can be written to. Created with mode 0700.
 */
export function stateFolder(env: NodeJS.ProcessEnv): string {
  const home = env['HOME'] || homedir()
  const candidates = [
    env['XDG_STATE_HOME'] ? join(env['XDG_STATE_HOME'], 'rcluster') : undefined,
    home ? join(home, '.local', 'state', 'rcluster') : undefined,
    join(tmpdir(), `rcluster-${userInfo().uid}`),
  ]
  let failure: unknown
  for (const folder of candidates) {
    if (folder === undefined) continue
    try {
      mkdirSync(folder, {recursive: true, mode: 0o700})
      return folder
    } catch (error) {
      failure = error
    }
  }
  throw failure
}
