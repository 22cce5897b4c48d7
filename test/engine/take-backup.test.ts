import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {inspectFolder} from '../../src/lib/engine/backup-folder.ts'
import {formatManifest, MANIFEST_NAME, writeWhole} from '../../src/lib/engine/backup-manifest.ts'
import {checkFile, findBackup} from '../../src/lib/engine/read-backup.ts'
import {restoreKeys, verifyKeys} from '../../src/lib/engine/restore-backup.ts'
import {type ClusterSession, openSession} from '../../src/lib/engine/session.ts'
import {buildManifest, collectFunctions, type ShardFile, takeBackup} from '../../src/lib/engine/take-backup.ts'
import {CancelledError} from '../../src/lib/errors.ts'
import {planBackup} from '../../src/lib/plan/backup.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {fill, keyIn} from '../support/moving.ts'

const home = mkdtempSync(path.join(os.tmpdir(), 'rcluster-take-'))
afterAll(() => rmSync(home, {recursive: true, force: true}))
let folders = 0
const freshFolder = (): string => path.join(home, String(folders++))

const sessionOn = (cluster: FakeCluster): Promise<ClusterSession> =>
  openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )

/** As the command does it. */
async function backUp(cluster: FakeCluster, folder: string, signal?: AbortSignal): Promise<readonly ShardFile[]> {
  const session = await sessionOn(cluster)
  const plan = planBackup(session.topology, {isFromPrimaries: false})
  const options = {nameOf: (_: unknown, index: number) => `${index}.rdb`, concurrency: 2, silenceMs: 1000, signal}
  const finish = async (files: readonly ShardFile[]): Promise<void> => {
    const manifest = buildManifest(session.topology, plan, files, await collectFunctions(session, plan), null)
    await writeWhole(folder, MANIFEST_NAME, formatManifest(manifest))
  }
  return takeBackup(session, plan, await inspectFolder(folder), options, finish, [MANIFEST_NAME])
}

const FILLED = '0-9,6000-6009,12000-12009'

/** The slot's keys stay where they are: only who owns it changes. */
function give(cluster: FakeCluster, slot: number, from: number, to: number): void {
  const [source, target] = [cluster.server(from), cluster.server(to)]
  target.setImporting(slot, source.id)
  source.setMigrating(slot, target.id)
  target.assignSlot(slot, target.id)
  source.assignSlot(slot, target.id)
  cluster.settle()
}

test('all keys of all databases come back in a cluster of another size', async () => {
  const old = new FakeCluster({databases: 2})
  fill(old, FILLED, 4)
  old.set(keyIn(3, 99), 'ends', 1, 600_000)
  old.set(keyIn(3, 98), 'has ended', 1, 1)
  const folder = freshFolder()
  await backUp(old, folder)
  expect(readdirSync(folder).sort()).toEqual(['0.rdb', '1.rdb', '2.rdb', MANIFEST_NAME])

  const backup = await findBackup([folder], false)
  const files = await Promise.all(backup.sources.map((source) => checkFile(source, undefined)))
  const fresh = new FakeCluster({primaries: 5, databases: 2})
  const session = await sessionOn(fresh)
  const outcome = await restoreKeys(session, files, {conflicts: 'fail'})
  expect([...fresh.contents().keys()].sort()).toEqual([...old.contents().keys()].sort())
  expect(outcome.copied).toBe(241)
  expect(outcome.failed).toBe(0)
  expect(await verifyKeys(session, files, {})).toMatchObject({same: 241, missing: [], different: []})

  fresh.servers.find(({keyspace}) => keyspace.delete(keyIn(6000, 0), 0))
  // A string of one letter, with a footer.
  fresh.set(keyIn(12_000, 1), `\u0000\u0001x${'\u0000'.repeat(10)}`)
  const found = await verifyKeys(session, files, {})
  expect(found).toMatchObject({same: 239, missing: [keyIn(6000, 0)], different: [keyIn(12_000, 1)]})
  const again = await restoreKeys(session, files, {conflicts: 'fail'})
  expect(again).toMatchObject({copied: 1, identical: 239, failed: 1})
  expect(await restoreKeys(session, files, {conflicts: 'replace'})).toMatchObject({failed: 0})
  expect(await verifyKeys(session, files, {})).toMatchObject({same: 241})
})

test('keys that a shard holds of slots that it does not own are passed over', async () => {
  const old = new FakeCluster()
  fill(old, '0', 1)
  const stray = {payload: Buffer.from('old'), expiresAtMs: undefined}
  old.server(1).keyspace.set(keyIn(0, 0), stray, 0)
  const folder = freshFolder()
  const files = await backUp(old, folder)
  expect(files.map(({census}) => [census.keys, census.strays])).toEqual([
    [1, 0],
    [0, 1],
    [0, 0],
  ])
  const {sources} = await findBackup([folder], false)
  const fresh = new FakeCluster({primaries: 1})
  const checked = await Promise.all(sources.map((source) => checkFile(source, undefined)))
  expect(await restoreKeys(await sessionOn(fresh), checked, {conflicts: 'fail'})).toMatchObject({copied: 1})
})

test('slots that change owner meanwhile are the end of it, and nothing is left', async () => {
  const cluster = new FakeCluster()
  fill(cluster, FILLED, 1)
  let hasMoved = false
  cluster.script.failWhen(({kind}) => {
    if (kind === 'openSnapshot' && !hasMoved) give(cluster, 16_000, 2, 0)
    hasMoved ||= kind === 'openSnapshot'
    return undefined
  })
  const folder = freshFolder()
  await expect(backUp(cluster, folder)).rejects.toMatchObject({
    reason: 'stale-plan',
    message: 'slot 16000 changed owner while the backup was taken, so it was removed',
  })
  expect(existsSync(folder)).toBe(false)
})

test('a node that fails is named, and nothing is left', async () => {
  const cluster = new FakeCluster()
  fill(cluster, FILLED, 1)
  const {id} = cluster.server(1)
  cluster.script.failWhen(({kind, at}) =>
    kind === 'openSnapshot' && at === id ? {when: 'before', failure: 'loading'} : undefined,
  )
  const folder = freshFolder()
  await expect(backUp(cluster, folder)).rejects.toMatchObject({failure: 'loading', address: '10.0.0.1:7001'})
  expect(existsSync(folder)).toBe(false)
})

test('what stops it between the last file and the manifest leaves nothing', async () => {
  const cluster = new FakeCluster()
  const stop = new AbortController()
  cluster.script.failWhen(({kind}) => {
    if (kind === 'listSlotMigrations') stop.abort(new CancelledError('stopped'))
    return undefined
  })
  const folder = freshFolder()
  await expect(backUp(cluster, folder, stop.signal)).rejects.toMatchObject({code: 'E_CANCELLED'})
  expect(existsSync(folder)).toBe(false)
})

test('a folder that was there stays, empty', async () => {
  const cluster = new FakeCluster()
  const folder = mkdtempSync(path.join(home, 'there-'))
  cluster.script.failWhen(({kind}) => (kind === 'openSnapshot' ? {when: 'before', failure: 'timeout'} : undefined))
  await expect(backUp(cluster, folder)).rejects.toMatchObject({failure: 'timeout'})
  expect(readdirSync(folder)).toEqual([])
})

test('the manifest counts what is in the files', async () => {
  const cluster = new FakeCluster()
  fill(cluster, FILLED, 2)
  const folder = freshFolder()
  await backUp(cluster, folder)
  const manifest = JSON.parse(readFileSync(path.join(folder, MANIFEST_NAME), 'utf8'))
  expect(manifest).toMatchObject({version: 1, complete: true, missingSlots: '', users: null, functions: []})
  expect(manifest.files).toMatchObject([
    {name: '0.rdb', slots: '0-5461', keys: {0: 20}, rdbVersion: 11},
    {name: '1.rdb', slots: '5462-10922', keys: {0: 20}},
    {name: '2.rdb', slots: '10923-16383', keys: {0: 20}},
  ])
})
