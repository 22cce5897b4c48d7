import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {saveBeforeState} from '../../src/lib/state/before-state.ts'
import {countHealings} from '../../src/lib/state/healings.ts'
import {buildTopology} from '../support/topology-builder.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-healings-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

test('acts of this cluster are counted since a moment, from the files written before them', () => {
  const env = {XDG_STATE_HOME: folder}
  const ours = buildTopology({primaries: {A: '0-16383'}})
  const others = buildTopology({primaries: {X: '0-16383'}})
  const since = new Date(Date.now() - 60_000)
  const save = (command: string, topology = ours): string => saveBeforeState(env, command, {}, topology, new Map())
  expect(countHealings(env, ours, since)).toBe(0)
  const file = save('heal')
  save('heal')
  save('heal', others)
  save('fix')
  expect(countHealings(env, ours, since)).toBe(2)
  expect(countHealings(env, others, since)).toBe(1)
  const state = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({...state, writtenAt: new Date(since.getTime() - 1).toISOString()}))
  expect(countHealings(env, ours, since)).toBe(1)
  // It may have been one.
  writeFileSync(file, 'half a fi')
  expect(countHealings(env, ours, since)).toBe(2)
})
