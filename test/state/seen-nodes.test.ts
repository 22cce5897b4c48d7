import {mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {noteSeenNodes, readSeenClusters} from '../../src/lib/state/seen-nodes.ts'
import {HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const NOW = new Date('2026-01-01T12:00:00Z')
const later = (hours: number): Date => new Date(NOW.getTime() + hours * 3_600_000)
const other = topologyOf({d: {slots: '0-16383', epoch: 1, hostname: 'd.lab'}})

let home: string
let env: NodeJS.ProcessEnv
const file = (): string => path.join(home, 'rcluster', 'seen-nodes.json')

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'rcluster-seen-'))
  env = {XDG_STATE_HOME: home}
})

afterEach(() => rmSync(home, {recursive: true}))

test('clusters are remembered, the latest first, in one private file', () => {
  noteSeenNodes(env, topologyOf(HEALTHY), 'prod', NOW)
  noteSeenNodes(env, other, undefined, later(1))
  const [latest, first] = readSeenClusters(env, later(2))
  expect(latest).toEqual({
    seenAt: later(1).toISOString(),
    nodes: [{id: idOf('d'), address: '127.0.0.1:7000', hostname: 'd.lab', role: 'primary', slots: 16384}],
  })
  expect(first?.context).toBe('prod')
  expect(first?.nodes.map(({id}) => id)).toContain(idOf('a'))
  expect(statSync(file()).mode & 0o777).toBe(0o600)
  expect(readdirSync(path.dirname(file()))).toEqual(['seen-nodes.json'])
})

test('a cluster is there once, as it was seen last', () => {
  noteSeenNodes(env, other, undefined, NOW)
  noteSeenNodes(env, topologyOf({d: {slots: '0-16383', epoch: 1}, e: {}}), undefined, later(1))
  expect(readSeenClusters(env, later(1)).map(({nodes}) => nodes.length)).toEqual([2])
})

test('what is a day old is forgotten, and so is what comes from the future', () => {
  noteSeenNodes(env, other, undefined, NOW)
  expect(readSeenClusters(env, later(23))).toHaveLength(1)
  expect(readSeenClusters(env, later(25))).toEqual([])
  expect(readSeenClusters(env, later(-25))).toEqual([])
  noteSeenNodes(env, topologyOf({e: {slots: '0-16383', epoch: 1}}), undefined, later(25))
  expect(readFileSync(file(), 'utf8')).not.toContain(idOf('d'))
})

test('a cluster that is as it was is not written again at once', () => {
  noteSeenNodes(env, other, undefined, NOW)
  noteSeenNodes(env, other, undefined, new Date(NOW.getTime() + 30_000))
  expect(readSeenClusters(env, NOW)[0]?.seenAt).toBe(NOW.toISOString())
})

test('names that a shell would take for more than a word are left out', () => {
  const node = {id: idOf('d'), address: 'h:1', role: 'primary', slots: 1}
  const nodes = [
    node,
    {...node, address: 'h:1;reboot'},
    {...node, hostname: '$(reboot)'},
    {...node, hostname: 'a\tb'},
    {...node, id: 'x'},
  ]
  noteSeenNodes(env, other, undefined, NOW)
  writeFileSync(file(), JSON.stringify({version: 1, clusters: [{seenAt: NOW.toISOString(), nodes}]}))
  expect(readSeenClusters(env, NOW)[0]?.nodes).toEqual([node])
})

test.each(['', '{', '{"version": 2}', '{"version": 1}', '{"version": 1, "clusters": [{"seenAt": "x"}]}', 'null'])(
  'a file that holds <%s> is passed over, and written anew',
  (text) => {
    noteSeenNodes(env, other, undefined, NOW)
    writeFileSync(file(), text)
    expect(readSeenClusters(env, NOW)).toEqual([])
    noteSeenNodes(env, other, undefined, NOW)
    expect(readSeenClusters(env, NOW)).toHaveLength(1)
  },
)

test('a folder that cannot be written to is no trouble', () => {
  const nowhere = {XDG_STATE_HOME: '/dev/null', HOME: '/dev/null'}
  expect(() => noteSeenNodes(nowhere, other, undefined, NOW)).not.toThrow()
})
