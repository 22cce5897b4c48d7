/** What is written to files must hold whatever servers say: checked without a browser, by what is well-formed. */
import {describe, expect, test} from 'vitest'
import {inspect} from '../../src/lib/findings/inspect.ts'
import {ownerColour} from '../../src/lib/render/map-colours.ts'
import {renderMapSvg} from '../../src/lib/render/map-svg.ts'
import {escapeMarkup} from '../../src/lib/render/markup.ts'
import {renderReport} from '../../src/lib/render/report-html.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import type {SlotHeat} from '../../src/lib/topology/slot-heat.ts'
import {parseMarkup} from '../support/markup.ts'
import {type ClusterSpec, HEALTHY, topologyOf} from '../topology/cluster-views.ts'
import {HEAT} from './heat.ts'

const ATTACK = `"><script src="https://evil.example/x.js">alert('1')</script>&amp;<!-- \u202e\u0007\ud800\uffff`

/** Names that no parser of ours would let through, should one do so all the same. */
function hostile(): Topology {
  const spec: ClusterSpec = {
    a: {...HEALTHY.a, importing: {11000: 'c'}, info: {availabilityZone: ATTACK, version: ATTACK}},
    b: {...HEALTHY.b, unreachable: ATTACK},
    c: {...HEALTHY.c, migrating: {11000: 'a'}},
    c1: {replicaOf: 'c'},
  }
  const topology = topologyOf(spec)
  const rename = (node: Topology['nodes'][number]) => ({...node, hostname: ATTACK, address: {host: ATTACK, port: 1}})
  const nodes = topology.nodes.map(rename)
  return {
    ...topology,
    nodes,
    nodesById: new Map(nodes.map((node) => [node.id, node])),
    shards: topology.shards.map(({primary, replicas}) => ({primary: rename(primary), replicas: replicas.map(rename)})),
  }
}

const facts = (topology: Topology, heat?: SlotHeat) => ({
  topology,
  findings: inspect(topology),
  heat,
  madeAt: new Date('2026-11-29T20:04:33.929Z'),
  madeBy: 'rcluster 1.2.3',
  seed: '127.0.0.1:7000',
})

const CALM = topologyOf(HEALTHY)
const FILES: readonly [string, () => string][] = [
  ['a report', () => renderReport(facts(CALM))],
  ['a report with load', () => renderReport(facts(CALM, HEAT))],
  ['a report of hostile names', () => renderReport(facts(hostile(), HEAT))],
  ['a map', () => renderMapSvg(CALM, undefined, {title: 'Slots', subtitle: 'of a test'})],
  ['a heat map', () => renderMapSvg(CALM, HEAT, {title: 'Load', subtitle: 'of a test'})],
  ['a map of hostile names', () => renderMapSvg(hostile(), undefined, {title: ATTACK, subtitle: ATTACK})],
  ['a heat map of hostile names', () => renderMapSvg(hostile(), HEAT, {title: ATTACK, subtitle: ATTACK})],
]

describe.each(FILES)('%s', (_name, render) => {
  const source = render()
  const markup = parseMarkup(source)

  test('runs nothing and loads nothing', () => {
    const tags = new Set(markup.tags)
    for (const tag of ['script', 'link', 'img', 'iframe', 'object', 'image', 'use', 'a', 'foreignObject']) {
      expect([...tags]).not.toContain(tag)
    }
    for (const {name, value} of markup.attributes) {
      expect(name).not.toMatch(/^(on|src|href|xlink|style$|action)/)
      if (name !== 'xmlns' && name !== 'content') expect(value).not.toMatch(/^\s*[a-z]+:\/\//)
    }
    expect(source).not.toMatch(/@import|url\((?!#)/)
  })

  test('steers no line and no terminal', () => {
    expect(source).not.toMatch(
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/,
    )
    expect(source).toBe(Buffer.from(source, 'utf8').toString('utf8'))
  })

  test('names each part once', () => {
    const ids = markup.attributes.filter(({name}) => name === 'id').map(({value}) => value)
    expect(new Set(ids).size).toBe(ids.length)
    for (const {value} of markup.attributes.filter(({value: used}) => used.startsWith('url(#'))) {
      expect(ids).toContain(/^url\(#(.*)\)$/.exec(value)?.[1])
    }
  })
})

describe('a report', () => {
  test('tells the verdict, the findings with what to do, the nodes and the maps', () => {
    const broken = topologyOf({...HEALTHY, b: {...HEALTHY.b, unreachable: 'nothing listens there'}})
    const {text, tags} = parseMarkup(renderReport(facts(broken, HEAT)))
    expect(text).toContain('Not healthy: 2 errors')
    for (const {message, suggestions} of inspect(broken))
      for (const one of [message, ...suggestions]) expect(text).toContain(one)
    for (const {address} of broken.nodes) expect(text).toContain(`${address.host}:${address.port}`)
    expect(text).toContain('2026-11-29 20:04:33 UTC by rcluster 1.2.3')
    expect(text).toContain('slot 866: 5,000')
    expect(tags.filter((tag) => tag === 'svg')).toHaveLength(2)
  })

  test('forbids scripts to whoever opens it, even if somebody writes one into it', () => {
    expect(renderReport(facts(CALM))).toContain("content=\"default-src 'none'; style-src 'unsafe-inline'\"")
  })

  test('shows hostile names as text', () => {
    const {text} = parseMarkup(renderReport(facts(hostile())))
    expect(text).toContain(`"><script src="https://evil.example/x.js">alert('1')</script>&amp;<!--`)
  })
})

describe('a map', () => {
  /** Squares that the paths of owners or levels cover, in slots. */
  const covered = (svg: string): number =>
    parseMarkup(svg)
      .attributes.filter(({tag, name}) => tag === 'path' && name === 'd')
      .flatMap(({value}) => [...value.matchAll(/h(\d+)v/g)])
      .reduce((sum, [, width]) => sum + Number(width) / 4, 0)

  test('draws every slot once', () => {
    expect(covered(renderMapSvg(CALM, undefined, {title: '', subtitle: ''}))).toBe(16384)
    expect(covered(renderMapSvg(CALM, HEAT, {title: '', subtitle: ''}))).toBe(16384)
  })

  test('of slots that change owner at each step stays small', () => {
    const owners = CALM.owners.map((_, slot) => CALM.nodes[slot % 2]?.id)
    const svg = renderMapSvg({...CALM, owners, uncovered: []}, undefined, {title: '', subtitle: ''})
    expect(covered(svg)).toBe(16384)
    expect(svg.length).toBeLessThan(500_000)
  })

  test('gives a thousand primaries colours of which neighbours differ', () => {
    const colours = Array.from({length: 1000}, (_, index) => ownerColour(index, 1000))
    for (const [index, colour] of colours.entries()) {
      expect(colour).toMatch(/^#[0-9a-f]{6}$/)
      expect(colour).not.toBe(colours[index + 1])
    }
  })
})

test.each([
  {text: 'a & b < c > "d" \'e\'', expected: 'a &amp; b &lt; c &gt; &quot;d&quot; &#39;e&#39;'},
  {text: 'x\u202ey\u0000z\ud800\uffff', expected: 'xyz'},
  {text: '漢字 😀', expected: '漢字 😀'},
])('escapes $expected', ({text, expected}) => expect(escapeMarkup(text)).toBe(expected))
