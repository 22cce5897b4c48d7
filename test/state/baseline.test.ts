import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {UsageError} from '../../src/lib/errors.ts'
import {examine} from '../../src/lib/findings/examine.ts'
import {fingerprintOf} from '../../src/lib/findings/fingerprint.ts'
import {
  formatBaseline,
  parseBaseline,
  readBaseline,
  requireBaselinePlace,
  writeBaseline,
} from '../../src/lib/state/baseline.ts'
import {NO_DETAILS} from '../../src/lib/topology/node-details.ts'
import {type ClusterSpec, HEALTHY, topologyOf} from '../topology/cluster-views.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-baseline-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

const KNOWN = {fingerprint: '0123456789abcdef', id: 'no-replicas', message: 'the cluster has no "replicas"'}

function printsOf(spec: ClusterSpec): string[] {
  return examine(topologyOf(spec), NO_DETAILS)
    .findings.filter(({severity}) => severity !== 'note')
    .map((finding) => `${finding.id} ${fingerprintOf(finding)}`)
}

test('what is written is read again, and written alike', () => {
  const file = path.join(folder, 'known.json')
  writeBaseline(file, [KNOWN, {...KNOWN, fingerprint: 'f'.repeat(16)}])
  expect(readBaseline(file)).toHaveLength(2)
  const text = readFileSync(file, 'utf8')
  requireBaselinePlace(file)
  writeBaseline(file, readBaseline(file))
  expect(readFileSync(file, 'utf8')).toBe(text)
  expect(parseBaseline(formatBaseline([]))).toEqual([])
  expect(readdirSync(folder)).toEqual(['known.json'])
})

test.each([
  {name: 'nothing', text: ''},
  {name: 'no JSON', text: '{"format": "rcluster-baseline", '},
  {name: 'null', text: 'null'},
  {name: 'a later version', text: formatBaseline([KNOWN]).replace('"version": 1', '"version": 2')},
  {name: 'a plan', text: '{"format": "rcluster-plan", "version": 1}'},
  {name: 'a finding without fingerprint', text: formatBaseline([KNOWN]).replace(KNOWN.fingerprint, 'x')},
])('$name is refused, and never overwritten', ({text}) => {
  const file = path.join(folder, 'other.json')
  writeFileSync(file, text)
  expect(() => readBaseline(file)).toThrow(UsageError)
  expect(() => requireBaselinePlace(file)).toThrow(/not overwritten/)
  expect(readFileSync(file, 'utf8')).toBe(text)
})

test('a file or a folder that is not there is named', () => {
  expect(() => readBaseline(path.join(folder, 'none'))).toThrow(/none cannot be read: there is no such file/)
  expect(() => requireBaselinePlace(path.join(folder, 'none', 'known.json'))).toThrow(/there is no folder/)
  expect(() => requireBaselinePlace(folder)).toThrow(/not overwritten/)
})

test('a finding is known again whatever its words are by then, and another node is another finding', () => {
  const dead = (name: 'b1' | 'c1', message: string): ClusterSpec => ({
    ...HEALTHY,
    [name]: {...HEALTHY[name], unreachable: message},
  })
  expect(printsOf(dead('c1', 'it did not answer'))).toEqual(printsOf(dead('c1', 'nothing listens there')))
  expect(printsOf(dead('b1', 'it did not answer'))).not.toEqual(printsOf(dead('c1', 'it did not answer')))
})

test('slots count where they are what is wrong, and not where they are only told', () => {
  const {a, b, c} = HEALTHY
  const open = (slot: number): ClusterSpec => ({
    ...HEALTHY,
    a: {...a, migrating: {[slot]: 'b'}},
    b: {...b, importing: {[slot]: 'a'}},
  })
  expect(printsOf(open(1))).not.toEqual(printsOf(open(2)))
  const orphan = (slots: string): ClusterSpec => ({
    ...HEALTHY,
    a: {...a, slots},
    b,
    c: {slots: `10923-16383${slots === '1-5460' ? ',0' : ''}`, epoch: 3},
    a1: {replicaOf: 'c'},
  })
  expect(printsOf(orphan('0-5460'))).toEqual(printsOf(orphan('1-5460')))
  // Shared by all clusters without replicas.
  expect(printsOf({a, b, c})).toEqual(printsOf({a, b, c: {slots: '10923-16383', epoch: 7}}))
})
