/** One slot that goes to and fro, many times: in this process, where starting the program is not what takes the time. */
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {captureRuns, runWithin} from '../support/in-process.ts'
import {forEachKind, moversOf, rawCommand, startServers} from '../support/servers.ts'

const ROUNDS = 50
const KEYS = 20
const LIMIT_MS = 60_000

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-to-and-fro-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))
beforeAll(() => {
  process.env['XDG_STATE_HOME'] = folder
  process.env['XDG_CONFIG_HOME'] = folder
  captureRuns()
})

async function ok(...args: string[]): Promise<void> {
  const {code, stdout, stderr} = await runWithin(LIMIT_MS, args)
  expect(code, `rcluster ${args.join(' ')}:\n${stdout}${stderr}`).toBe(0)
}

forEachKind('a slot that goes to and fro', (kind) => {
  test.each(moversOf(kind))(`has all its keys after ${ROUNDS} moves: --mover %s`, async (mover) => {
    const servers = await startServers(kind, 3)
    try {
      const [a = '', b = ''] = servers.addresses
      await ok('create', ...servers.addresses, '--yes')
      // Slot 0 belongs to the hash tag 06S.
      for (let n = 0; n < KEYS; n++) await rawCommand(a, ['SET', `{06S}${n}`, `value ${n}`])
      for (let round = 0; round < ROUNDS; round++) {
        const [from, to] = round % 2 === 0 ? [a, b] : [b, a]
        await ok('reshard', a, '--from', from, '--to', to, '--slots-list', '0', '--mover', mover, '--yes', '-q')
        expect(await rawCommand(to, ['CLUSTER', 'COUNTKEYSINSLOT', '0']), `after round ${round}`).toBe(KEYS)
      }
      for (let n = 0; n < KEYS; n++) expect(await rawCommand(a, ['GET', `{06S}${n}`])).toBe(`value ${n}`)
      await ok('check', a)
    } finally {
      await servers.stop()
    }
  })
})
