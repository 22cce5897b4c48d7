/** Every command against seeds that are no nodes, or none that can be talked to: it ends in time, and says what is true. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {mapBounded} from '../../src/lib/engine/waiting.ts'
import {COMMAND_LINES} from '../support/command-lines.ts'
import {type HostileServer, MANNERS, openHostile} from '../support/hostile-servers.ts'
import {captureRuns, commandIds, loadCommands, runWithin} from '../support/in-process.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-hostile-'))

beforeAll(async () => {
  process.env['XDG_STATE_HOME'] = folder
  process.env['XDG_CONFIG_HOME'] = folder
  process.env['NO_COLOR'] = '1'
  writeFileSync(path.join(folder, 'empty.rdb'), Buffer.from('REDIS0011\xff\0\0\0\0\0\0\0\0', 'latin1'))
  captureRuns()
  await loadCommands()
  servers = await Promise.all(MANNERS.map(openHostile))
  const pairs = MANNERS.flatMap(({name}, index) =>
    Object.entries(COMMAND_LINES).map(([id, line]) => ({
      name: `${name} ${id}`,
      id,
      line,
      address: servers[index]!.address,
    })),
  )
  // Most of the time is spent waiting: all that is tried is tried at once.
  await mapBounded(pairs, AT_ONCE, async ({name, id, line, address}) => {
    const flags = id.startsWith('drop-in:') ? ['-t', '0.2'] : DEADLINES
    const result = runWithin(LIMIT_MS, [...line(address, folder), ...flags])
    trials.set(name, {address, result})
    await result.catch(() => {})
  })
}, 120_000)

afterAll(() => {
  for (const server of servers) server.close()
  rmSync(folder, {recursive: true, force: true})
})

let servers: HostileServer[] = []
const trials = new Map<string, {address: string; result: ReturnType<typeof runWithin>}>()

const DEADLINES = ['--connect-timeout', '200ms', '--command-timeout', '300ms']
/** A handful of deadlines, on a machine that has much else to do. */
const LIMIT_MS = 10_000
const AT_ONCE = 64

test('every command is on trial here, or has no seed to talk to', () => {
  const without = [
    ...['acl', 'addresses', 'apply', 'completion', 'local:down', 'local:status', 'local:up', 'drop-in:help'],
    ...commandIds.filter((id) => id.startsWith('context:')),
  ]
  expect([...Object.keys(COMMAND_LINES), ...without].sort()).toEqual(commandIds)
})

describe.each(MANNERS)('a seed that $name', (manner) => {
  test.each(Object.keys(COMMAND_LINES))('costs %s its deadline, and is named', async (id) => {
    const {address, result} = trials.get(`${manner.name} ${id}`)!
    const {code, stdout, stderr} = await result
    const told = `${id} ended with ${code}\n${stdout}\n${stderr}`
    expect(id === 'wait' ? [4, 5] : [id.startsWith('drop-in:') ? 1 : 4], told).toContain(code)
    expect(told).toContain(address)
    expectNoBlunder(told)
  })
})

function expectNoBlunder(told: string): void {
  expect(told).not.toMatch(/unexpected fault|Connection is closed|\n\s+at |undefined|NaN|\[object/)
  expect(told.length).toBeLessThan(4000)
}
