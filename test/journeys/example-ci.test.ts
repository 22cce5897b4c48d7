/** examples/ci: the script on this machine's own servers, for commands that go well, fail, and leave the cluster ill. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {isNodePortFree} from '../../src/lib/local/ports.ts'
import {examplePath} from '../support/examples.ts'
import {type RunResult, runProgram} from '../support/rcluster.ts'
import {anyKind, rawCommand, takePorts} from '../support/servers.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

let folder = ''
let port = 0
beforeAll(async () => {
  port = await takePorts(6)
  folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-ci-'))
  writeFileSync(path.join(folder, 'rcluster'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, {
    mode: 0o755,
  })
})
afterAll(() => rmSync(folder, {recursive: true, force: true}))

function onACluster(command: string): Promise<RunResult> {
  return runProgram(examplePath('ci/on-a-cluster.sh'), ['sh', '-c', command], {
    env: {
      ...{PATH: `${folder}:${process.env['PATH']}`, XDG_STATE_HOME: folder, TMPDIR: folder, NO_COLOR: '1'},
      ...{RCLUSTER_SERVER: anyKind().server, PORT: String(port)},
    },
  })
}

test('a command gets a cluster, its exit code counts, and an ill cluster is told', async () => {
  const addresses = Array.from({length: 6}, (_, index) => `127.0.0.1:${port + index}`)
  const well = await onACluster('echo "nodes: $CLUSTER_NODES"')
  expect(well.code, well.stderr).toBe(0)
  expect(well.stdout).toContain(`nodes: ${addresses.join(' ')}`)
  expect(well.stderr).toContain('The cluster is healthy.')

  expect(await onACluster('exit 7')).toMatchObject({code: 7})

  const ill = await onACluster(`rcluster call ${addresses[0]} --primaries -- CLUSTER SETSLOT 0 STABLE >/dev/null
    rcluster call ${addresses[0]} --primaries -- CLUSTER DELSLOTS 42 >/dev/null || true`)
  expect(ill.code, ill.stderr).toBe(1)
  expect(ill.stderr).toMatch(/^error: .*slot 42 is uncovered/m)

  // Whatever happened, nothing is left.
  expect(await isNodePortFree(port)).toBe(true)
  await expect(rawCommand(addresses[0] ?? '', ['PING'])).rejects.toThrow()
})
