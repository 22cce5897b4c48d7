import {Chalk} from 'chalk'
import {describe, expect, test} from 'vitest'
import {inspect} from '../../src/lib/findings/inspect.ts'
import {PLAIN_STYLE, type Style} from '../../src/lib/render/colour.ts'
import {renderNodeExplanation, renderSlotExplanation} from '../../src/lib/render/explain.ts'
import {explainedNodeDocument, explainNode, explainSlot, slotDocument} from '../../src/lib/render/explanation.ts'
import {visibleLength} from '../../src/lib/render/table.ts'
import type {SlotCount} from '../../src/lib/topology/slot-count.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

/** Slot 866 is on its way from A to B, B1 is behind, C is dead. */
const MOVING: ClusterSpec = {
  ...HEALTHY,
  a: {...HEALTHY.a, migrating: {866: 'b'}, info: {keysByDatabase: new Map([[0, 1234]]), usedMemoryBytes: 2_000_000}},
  b: {...HEALTHY.b, importing: {866: 'a'}},
  b1: {replicaOf: 'b', epoch: 2, sees: {a: {slots: '0-865,867-5460'}, b: {slots: '866,5461-10922', epoch: 9}}},
  c: {...HEALTHY.c, unreachable: 'nothing listens at 127.0.0.1:7002'},
}
const COUNTS: readonly SlotCount[] = [
  {node: idOf('a'), keys: 12, problem: undefined},
  {node: idOf('b'), keys: 3, problem: undefined},
  {node: idOf('c'), keys: undefined, problem: 'nothing listens at 127.0.0.1:7002'},
  {node: idOf('a1'), keys: 12, problem: undefined},
]
const QUESTION = {slot: 866, key: undefined, hashTag: undefined}

const terminal = (columns: number): Style => ({...PLAIN_STYLE, columns, isTerminal: true})
const topology = topologyOf(MOVING)
const slot = (style: Style) =>
  renderSlotExplanation(explainSlot(topology, QUESTION, COUNTS, inspect(topology)), topology, style)
const node = (name: string, style: Style) =>
  renderNodeExplanation(explainNode(topology, topology.nodesById.get(idOf(name))!, inspect(topology)), topology, style)

describe.each([40, 80, 200])('in %d columns', (columns) => {
  test('a slot on the move looks so', () => expect(`\n${slot(terminal(columns))}\n`).toMatchSnapshot())
  test('a primary looks so', () => expect(`\n${node('a', terminal(columns))}\n`).toMatchSnapshot())
  test('a dead primary looks so', () => expect(`\n${node('c', terminal(columns))}\n`).toMatchSnapshot())
  test('a replica looks so', () => expect(`\n${node('b1', terminal(columns))}\n`).toMatchSnapshot())
  test('all is the same with colours, but for these', () => {
    const style = {...terminal(columns), chalk: new Chalk({level: 1})}
    for (const render of [slot, (one: Style) => node('a', one), (one: Style) => node('c', one)]) {
      expect(render(style)).toContain('\u001b[')
      expect(render(style).replace(/\u001b\[[0-9;]*m/g, '')).toBe(render(terminal(columns)))
    }
  })
})

describe('of a slot', () => {
  test('its key is told with its hash tag, and cannot steer the terminal', () => {
    const key = 'a\u001b[2J\u202e{t\u0007}"'
    const facts = explainSlot(topology, {slot: 866, key, hashTag: 't\u0007'}, COUNTS, [])
    const text = renderSlotExplanation(facts, topology, PLAIN_STYLE)
    expect(text.split('\n')[0]).toBe(
      'Slot         866 of key "a\\x1b[2J\\xe2\\x80\\xae{t\\x07}\\"", by its hash tag "t\\x07"',
    )
  })

  test('that nobody owns says so, and what would help', () => {
    const torn = topologyOf({...HEALTHY, a: {slots: '0-865,867-5460', epoch: 1}})
    const facts = explainSlot(torn, QUESTION, [], inspect(torn))
    const text = renderSlotExplanation(facts, torn, PLAIN_STYLE)
    expect(text).toContain('nobody')
    expect(text).toContain('[uncovered-slots]')
    expect(slotDocument(facts, torn)).toMatchObject({owner: null, isAgreed: true, isOpen: false})
  })

  test('strays are named, with the command that shows what to do', () => {
    const facts = explainSlot(topologyOf(HEALTHY), QUESTION, [{node: idOf('c'), keys: 4, problem: undefined}], [])
    const text = renderSlotExplanation(facts, topologyOf(HEALTHY), PLAIN_STYLE)
    expect(text).toMatch(/Strays +4 keys on 127\.0\.0\.1:7002/)
    expect(text).toContain('rcluster fix 127.0.0.1:7000 --dry-run')
  })

  test('findings about other shards are left out', () => {
    const {findings} = explainSlot(topology, QUESTION, COUNTS, inspect(topology))
    expect(findings.map(({id}) => id)).toEqual(['disagreement', 'open-slot'])
  })

  test('a thousand opinions and counts take few lines', () => {
    const many = Array.from({length: 1000}, (_, n) => ({node: idOf('c'), keys: undefined, problem: `no ${n}`}))
    const text = renderSlotExplanation(explainSlot(topology, QUESTION, many, []), topology, PLAIN_STYLE)
    expect(text.split('\n').length).toBeLessThan(30)
    expect(text).toContain('and 993 more')
  })

  test('the document survives JSON', () => {
    const document = slotDocument(explainSlot(topology, QUESTION, COUNTS, inspect(topology)), topology)
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
    expect(document).toMatchObject({
      slot: 866,
      owner: {id: idOf('a'), configEpoch: 1, slotCount: 5461},
      isAgreed: false,
      isOpen: true,
      migrating: [{node: idOf('a'), to: idOf('b')}],
      importing: [{node: idOf('b'), from: idOf('a')}],
    })
  })
})

describe('of a node', () => {
  test('the document survives JSON', () => {
    for (const one of topology.nodes) {
      const document = explainedNodeDocument(explainNode(topology, one, inspect(topology)), topology)
      expect(JSON.parse(JSON.stringify(document))).toEqual(document)
    }
  })

  test('owners of the slots beside its own are its neighbours', () => {
    const mixed = topologyOf({
      a: {slots: '0-9,20-29', epoch: 1},
      b: {slots: '10-19', epoch: 2},
      c: {slots: '30-99', epoch: 3},
    })
    const facts = explainNode(mixed, mixed.nodesById.get(idOf('a'))!, [])
    expect(facts.neighbours.map(({node: {id}, borders}) => [id, borders])).toEqual([
      [idOf('b'), 2],
      [idOf('c'), 1],
    ])
  })

  test('names of 253 characters stay whole, for they are copied, and lines break around them', () => {
    const host = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`
    const long = topologyOf({...HEALTHY, b: {...HEALTHY.b, unreachable: 'gone', host}})
    const facts = explainNode(long, long.nodesById.get(idOf('b'))!, inspect(long))
    const lines = renderNodeExplanation(facts, long, terminal(80)).split('\n')
    for (const line of lines.filter((one) => !one.includes(host))) expect(visibleLength(line)).toBeLessThanOrEqual(80)
    expect(lines.some((line) => line.includes(`${host}:7001`))).toBe(true)
  })
})
