import {mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterEach, beforeEach, expect, it} from 'vitest'
import {type BeforeState, saveBeforeState} from '../../src/lib/state/before-state.ts'
import {buildTopology, nodeId} from '../support/topology-builder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-before-'))
})
afterEach(() => rmSync(folder, {recursive: true, force: true}))

const topology = buildTopology({
  primaries: {A: '0-5460', B: '5461-16383'},
  replicas: {R: 'B'},
  unreachable: ['B'],
})

it('says what every node said and who owned what, for its user alone, each time in a new file', () => {
  const words = new Map([[nodeId('A'), 'what A says']])
  const env = {XDG_STATE_HOME: folder}
  const file = saveBeforeState(env, 'fix', {kind: 'fix'}, topology, words)
  expect(saveBeforeState(env, 'fix', {kind: 'fix'}, topology, words)).not.toBe(file)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const state = JSON.parse(readFileSync(file, 'utf8')) as BeforeState
  expect(state).toMatchObject({version: 1, kind: 'before-state', command: 'fix', plan: {kind: 'fix'}})
  expect(state.nodes).toMatchObject([
    {id: nodeId('A'), slots: '0-5460', isReachable: true, clusterNodes: 'what A says'},
    {id: nodeId('B'), slots: '5461-16383', isReachable: false},
    {id: nodeId('R'), role: 'replica', primaryId: nodeId('B')},
  ])
})
