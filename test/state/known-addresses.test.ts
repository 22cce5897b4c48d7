import {mkdtempSync, readdirSync, rmSync, statSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterEach, beforeEach, expect, it, vi} from 'vitest'
import {
  type FoundNodes,
  forgetCluster,
  knownAddresses,
  readKnownClusters,
  rememberNodes,
} from '../../src/lib/state/known-addresses.ts'
import type {NodeAddress} from '../../src/lib/topology/model.ts'

const [A, B, C, OTHER] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(40)) as [string, string, string, string]
const at = (port: number): NodeAddress => ({host: '127.0.0.1', port})
const inside = (last: number): NodeAddress => ({host: `172.17.0.${last}`, port: 6379})
const mapped = (id: string, port: number): FoundNodes['mapped'][number] => ({
  id,
  address: at(port),
  announced: inside(2),
})
const now = (minute: number): Date => new Date(Date.UTC(2026, 0, 1, 0, minute))

let home: string
let env: NodeJS.ProcessEnv
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'rcluster-known-'))
  env = {XDG_STATE_HOME: home}
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(home, {recursive: true})
})

const remember = (
  nodes: FoundNodes['mapped'],
  members: readonly string[],
  reached = nodes.map(({id}) => id),
  minute = 1,
) => rememberNodes(env, {mapped: nodes, direct: reached, members: new Set(members)}, now(minute))

it('is kept for its user alone, once, and says when a cluster is new', () => {
  expect(remember([mapped(A, 7000), mapped(B, 7001)], [A, B])).toBeDefined()
  expect(remember([mapped(A, 7000), mapped(B, 7001)], [A, B], [A, B], 2)).toBeUndefined()
  const [known, ...others] = readKnownClusters(env)
  expect(others).toEqual([])
  expect(known?.savedAt).toBe(now(1).toISOString())
  expect(statSync(known?.file ?? '').mode & 0o777).toBe(0o600)
  expect(knownAddresses(env)).toEqual(
    new Map([
      [A, at(7000)],
      [B, at(7001)],
    ]),
  )
})

it('writes nothing for clusters that are reached where they announce themselves', () => {
  expect(remember([], [A, B], [A, B])).toBeUndefined()
  expect(readKnownClusters(env)).toEqual([])
})

it('keeps what is known of members that were not reached, and drops who left or is reached directly now', () => {
  remember([mapped(A, 7000), mapped(B, 7001), mapped(C, 7002)], [A, B, C])
  remember([mapped(A, 7009)], [A, B, OTHER], [A, OTHER], 2)
  expect(knownAddresses(env)).toEqual(
    new Map([
      [A, at(7009)],
      [B, at(7001)],
    ]),
  )
  remember([], [A, B], [A, B], 3)
  expect(readKnownClusters(env)).toEqual([])
})

it('takes two clusters that have become one for one, and leaves a third alone', () => {
  remember([mapped(A, 7000)], [A])
  remember([mapped(B, 7001)], [B])
  remember([mapped(OTHER, 7005)], [OTHER])
  remember([mapped(A, 7000), mapped(B, 7001)], [A, B], [A, B], 2)
  expect(readKnownClusters(env).map(({nodes}) => nodes.map(({id}) => id))).toEqual([[A, B], [OTHER]])
})

it('passes over what is no record, and forgets on demand', () => {
  remember([mapped(A, 7000)], [A])
  const folder = path.dirname(readKnownClusters(env)[0]?.file ?? '')
  writeFileSync(path.join(folder, 'addresses-00.json'), '{"version": 1, "nodes": [{"id": "../../x"}]}')
  writeFileSync(path.join(folder, 'addresses-01.json'), '{')
  const known = readKnownClusters(env)
  expect(known).toHaveLength(1)
  for (const cluster of known) forgetCluster(cluster)
  expect(readKnownClusters(env)).toEqual([])
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

it('is a convenience: where nothing can be written, nothing happens', () => {
  const file = path.join(home, 'file')
  writeFileSync(file, '')
  vi.stubEnv('TMPDIR', file)
  env = {XDG_STATE_HOME: file, HOME: file}
  expect(remember([mapped(A, 7000)], [A])).toBeUndefined()
})
