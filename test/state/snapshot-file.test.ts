import {mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {UsageError} from '../../src/lib/errors.ts'
import {type SnapshotFile, snapshotOf} from '../../src/lib/plan/cluster-snapshot.ts'
import {
  formatSnapshotFile,
  parseSnapshotFile,
  readSnapshotFile,
  requireSnapshotPlace,
  writeSnapshotFile,
} from '../../src/lib/state/snapshot-file.ts'
import {buildTopology} from '../support/topology-builder.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-snapshot-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

const FILE: SnapshotFile = {
  format: 'rcluster-snapshot',
  version: 1,
  madeBy: 'rcluster 0.1.0',
  takenAt: '2026-11-29T20:00:00.000Z',
  cluster: snapshotOf(
    buildTopology({
      primaries: {A: '0-8000', B: '8001-16383'},
      replicas: {R: 'A'},
      open: [{slots: '7', from: 'A', to: 'B'}],
      unreachable: ['R'],
    }),
  ),
}

describe('a snapshot', () => {
  it('is read as it was written, and nobody else may read it', async () => {
    const file = path.join(folder, 'one.json')
    writeSnapshotFile(file, FILE, false)
    expect(await readSnapshotFile(file)).toEqual(FILE)
    expect(FILE.cluster).toMatchObject({open: '7', disputed: ''})
    expect(FILE.cluster.nodes.filter(({isReached}) => !isReached)).toHaveLength(1)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('replaces an older one only when told to, and never anything else', () => {
    const [file, other] = [path.join(folder, 'two.json'), path.join(folder, 'other.json')]
    writeSnapshotFile(file, FILE, false)
    expect(() => requireSnapshotPlace(file, false)).toThrow(/there is a snapshot already/)
    writeSnapshotFile(file, FILE, true)
    writeFileSync(other, '{"format": "rcluster-plan"}')
    expect(() => requireSnapshotPlace(other, true)).toThrow(/something else than a snapshot/)
  })

  it.each<{name: string; damage: (text: string) => string; says: RegExp}>([
    {name: 'cut short', damage: (text) => text.slice(0, -20), says: /it is not JSON/},
    {name: 'a plan', damage: (text) => text.replace('rcluster-snapshot', 'rcluster-plan'), says: /no snapshot/},
    {name: 'of later days', damage: (text) => text.replace('"version": 1', '"version": 2'), says: /of version 2/},
    {name: 'with two owners', damage: (text) => text.replace('8001-16383', '8000-16383'), says: /slot 8000 a second/},
    {name: 'edited', damage: (text) => text.replace('8001-16383', '8001-16382'), says: /is not the fingerprint/},
    {name: 'with slots beyond', damage: (text) => text.replace('8001-16383', '8001-16384'), says: /slots/},
    {name: 'without a place', damage: (text) => text.replace(/"address": "[^"]*",/, ''), says: /nodes\/0.*address/},
    {name: 'of no node', damage: () => JSON.stringify({...FILE, cluster: {...FILE.cluster, nodes: []}}), says: /nodes/},
  ])('that is $name is refused by the place in it', async ({damage, says}) => {
    const damaged = damage(formatSnapshotFile(FILE))
    await expect(parseSnapshotFile(damaged, 'then.json')).rejects.toThrow(says)
    await expect(parseSnapshotFile(damaged, 'then.json')).rejects.toBeInstanceOf(UsageError)
  })
})
