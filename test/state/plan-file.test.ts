import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import {afterAll, describe, expect, test} from 'vitest'
import {UsageError} from '../../src/lib/errors.ts'
import {sketchCluster} from '../../src/lib/plan/cluster-sketch.ts'
import {planCreate} from '../../src/lib/plan/create.ts'
import {buildMovePlan} from '../../src/lib/plan/move-plan.ts'
import type {PlanFile} from '../../src/lib/plan/plan-file.ts'
import {
  formatPlanFile,
  parsePlanFile,
  readPlanFile,
  requireWritable,
  writePlanFile,
} from '../../src/lib/state/plan-file.ts'
import {buildTopology, nodeId} from '../support/topology-builder.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-plans-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

const THEN = buildTopology({primaries: {A: '0-5460', B: '5461-16383'}, replicas: {R: 'A'}})
const [A, B] = [nodeId('A'), nodeId('B')]

const RESHARD: PlanFile = {
  format: 'rcluster-plan',
  version: 1,
  madeBy: 'rcluster 0.1.0',
  createdAt: '2026-11-23T15:00:00.000Z',
  command: {name: 'reshard', line: 'rcluster reshard A B 2'},
  cluster: sketchCluster(THEN),
  options: {mover: 'auto', 'on-conflict': 'fail', 'max-pause': 10, concurrency: 1},
  plan: buildMovePlan(
    THEN,
    'reshard',
    [0, 1].map((slot) => ({slot, from: A, to: B})),
    [],
  ),
}
const CREATE: PlanFile = {
  ...RESHARD,
  command: {name: 'create', line: 'rcluster create …'},
  cluster: {...sketchCluster(THEN), ...emptyGround()},
  options: {},
  plan: {
    ...planCreate({nodes: [{id: A, address: {host: '10.0.0.1', port: 7000}}]}),
    announcement: {
      way: 'name',
      nodes: [{address: '10.0.0.1:7000', settings: [{name: 'cluster-announce-hostname', value: 'one'}]}],
      warnings: [],
    },
  },
}

function emptyGround(): PlanFile['cluster'] {
  return {fingerprint: 'e3b0c44298fc1c14', nodes: []}
}

/** A copy in which the value at `place` is another one; undefined takes it away. */
function withValue(file: PlanFile, place: string, value: unknown): unknown {
  const copy = structuredClone(file) as unknown as Record<string, unknown>
  const names = place.split('/').slice(1)
  const last = names.pop() as string
  let at = copy
  for (const name of names) at = at[name] as Record<string, unknown>
  if (value === undefined) delete at[last]
  else at[last] = value
  return copy
}

describe('a plan that is read', () => {
  test.each([RESHARD, CREATE])('is what was written: $command.name', async (file) => {
    const written = formatPlanFile(file)
    expect(await parsePlanFile(written, 'plan.json')).toEqual(JSON.parse(JSON.stringify(file)))
  })

  test.each([
    {name: 'no JSON', text: '{"format": "rcl', says: /^plan\.json is no plan, or a damaged one: /},
    {name: 'nothing', text: '', says: /^plan\.json is no plan/},
    {name: 'JSON of others', text: '{"version": 1, "plan": {}}', says: /^plan\.json is no plan of rcluster$/},
    {name: 'null', text: 'null', says: /^plan\.json is no plan of rcluster$/},
    {
      name: 'a newer version',
      text: JSON.stringify({...RESHARD, version: 2, madeBy: 'rcluster 3.0.0'}),
      says: /^plan\.json is a plan of version 2, of which this rcluster knows nothing$/,
    },
  ])('is refused: $name', async ({text, says}) => {
    await expect(parsePlanFile(text, 'plan.json')).rejects.toThrow(says)
    await expect(parsePlanFile(text, 'plan.json')).rejects.toBeInstanceOf(UsageError)
  })

  test.each([
    {place: '/version', value: 'one', says: '/version must be equal to constant'},
    {place: '/madeBy', value: undefined, says: "the whole must have required property 'madeBy'"},
    {place: '/password', value: 'x', says: 'the whole must NOT have additional properties: "password"'},
    {
      place: '/command/name',
      value: 'flushall',
      says: '/command/name must be equal to one of the allowed values: reshard',
    },
    {
      place: '/options/mover',
      value: 'teleport',
      says: '/options/mover must be equal to one of the allowed values: auto',
    },
    {place: '/options/speed', value: 9, says: '/options must NOT have additional properties: "speed"'},
    {
      place: '/cluster/nodes/0/slots',
      value: '0-99999',
      says: '/cluster/nodes/0/slots is wrong: "0-99999" is not a slot',
    },
    {place: '/cluster/nodes/0/slots', value: '0-6000', says: 'gives slot 5461 a second owner'},
    {
      place: '/cluster/nodes/0/slots',
      value: '0-5000',
      says: '/cluster/fingerprint is not the fingerprint of the nodes',
    },
    {place: '/plan/kind', value: 'rebalance', says: '/plan/kind must be "reshard"'},
    {place: '/plan/moves/1/slot', value: 16_384, says: '/plan/moves/1/slot must be <= 16383'},
    {place: '/plan/moves/1/slot', value: 0, says: '/plan/moves/1 moves slot 0 a second time'},
    {place: '/plan/moves/1/slot', value: '1', says: '/plan/moves/1/slot must be integer'},
    {place: '/plan/moves/1/to', value: A, says: '/plan/moves/1 moves slot 1 to its own source'},
    {place: '/plan/moves/1/to', value: nodeId('X'), says: '/plan/moves/1 names 5800'},
    {place: '/plan/moves/1/to', value: '127.0.0.1:7000', says: '/plan/moves/1/to must match pattern'},
    {
      place: '/plan/moves/1',
      value: {slot: 9000, from: A, to: nodeId('R')},
      says: '/plan/moves/1 moves slot 9000 from a node that did not own it',
    },
  ])('is refused by the place that is wrong: $place = $value', async ({place, value, says}) => {
    const text = JSON.stringify(withValue(RESHARD, place, value))
    const error = await parsePlanFile(text, 'my plan.json').catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(UsageError)
    expect((error as Error).message).toContain('my plan.json is not a plan that can be carried out: ')
    expect((error as Error).message).toContain(says)
  })

  test('that is no file, or is not there, is refused', async () => {
    await expect(readPlanFile(folder)).rejects.toThrow(/cannot be read/)
    await expect(readPlanFile(path.join(folder, 'nowhere.json'))).rejects.toThrow(/cannot be read: ENOENT/)
    await expect(readPlanFile('/dev/zero')).rejects.toThrow(/cannot be read: it is no file/)
  })
})

describe('whatever a file holds', () => {
  const isFine = async (text: string): Promise<void> => {
    try {
      await parsePlanFile(text, 'plan.json')
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
    }
  }

  test('reading it ends in a plan or a UsageError: any text, any JSON', async () => {
    await fc.assert(fc.asyncProperty(fc.string(), isFine), {numRuns: 200})
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({maxDepth: 4}), (value) => isFine(JSON.stringify(value))),
      {numRuns: 200},
    )
  })

  const places = placesOf(RESHARD)

  test.each([RESHARD, CREATE])('also when a plan was damaged anywhere: $command.name', async (file) => {
    const own = placesOf(file)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...own),
        fc.option(fc.jsonValue({maxDepth: 2}), {nil: undefined}),
        (place, value) => isFine(JSON.stringify(withValue(file, place, value))),
      ),
      {numRuns: 400},
    )
  })

  test('also when bytes were lost or changed', async () => {
    expect(places.length).toBeGreaterThan(30)
    const text = formatPlanFile(RESHARD)
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length), fc.nat(40), fc.string({maxLength: 8}), (start, count, inserted) =>
        isFine(text.slice(0, start) + inserted + text.slice(start + count)),
      ),
      {numRuns: 400},
    )
  })
})

function placesOf(value: unknown, place = ''): string[] {
  if (typeof value !== 'object' || value === null) return [place]
  const below = Object.entries(value).flatMap(([name, one]) => placesOf(one, `${place}/${name}`))
  return place === '' ? below : [place, ...below]
}

describe('a plan that is written', () => {
  test('is the user’s alone, whole, and leaves nothing else behind', async () => {
    const file = path.join(folder, 'fresh.json')
    writePlanFile(file, RESHARD, false)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await readPlanFile(file)).toMatchObject({command: RESHARD.command})
    expect(readdirSync(folder).filter((name) => name.includes('tmp'))).toEqual([])
  })

  test('replaces a plan only when that was said, and nothing else ever', () => {
    const file = path.join(folder, 'kept.json')
    writePlanFile(file, RESHARD, false)
    expect(() => writePlanFile(file, CREATE, false)).toThrow(/there is a plan already/)
    writePlanFile(file, CREATE, true)
    expect(readFileSync(file, 'utf8')).toBe(formatPlanFile(CREATE))
    const notes = path.join(folder, 'notes.json')
    writeFileSync(notes, '{"format": "notes"}')
    symlinkSync(file, path.join(folder, 'link.json'))
    mkdirSync(path.join(folder, 'sub'))
    for (const other of ['notes.json', 'link.json', 'sub']) {
      expect(() => requireWritable(path.join(folder, other), true), other).toThrow(/something else than a plan/)
    }
    expect(readFileSync(notes, 'utf8')).toBe('{"format": "notes"}')
    expect(() => requireWritable(path.join(folder, 'no/plan.json'), true)).toThrow(/there is no folder/)
  })
})
