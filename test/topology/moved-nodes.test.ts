import {describe, expect, it} from 'vitest'
import {inspect} from '../../src/lib/findings/inspect.ts'
import {planRepairs} from '../../src/lib/plan/repair.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import {movedNodes, seemsToHaveMoved} from '../../src/lib/topology/moved-nodes.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from './cluster-views.ts'

const NO_KEYS = {keysBySlot: new Map(), hiddenKeys: new Map()}

/** The others know b at another address, and cannot reach it there. */
function elsewhere(flags: string): ClusterSpec {
  const b = {host: '10.0.0.9', flags}
  return {...HEALTHY, a: {...HEALTHY.a, sees: {b}}, c: {...HEALTHY.c, sees: {b}}}
}

const namesOf = (topology: Topology): string[] => movedNodes(topology).map(({node}) => node.id)

describe('a node that the others know at another address', () => {
  it('has moved when they cannot reach it there', () => {
    const topology = topologyOf(elsewhere('fail?'))
    expect(namesOf(topology)).toEqual([idOf('b')])
    expect(movedNodes(topology)[0]?.knownAs.map(({by}) => by)).toEqual([idOf('a'), idOf('c')])
    const findings = inspect(topology).map(({id}) => id)
    expect(findings).toContain('moved-node')
    expect(findings).not.toContain('suspected-node')
  })

  it('has moved when they have lost its address', () => {
    expect(namesOf(topologyOf({...HEALTHY, a: {...HEALTHY.a, sees: {b: {flags: 'noaddr'}}}}))).toEqual([idOf('b')])
  })

  it('has not moved to the loopback address by which we look at it on its host', () => {
    const b = {host: '10.0.0.9', flags: 'fail?'}
    const spec = {...HEALTHY, b: {...HEALTHY.b, sees: {b: {host: '10.0.0.9'}}}, a: {...HEALTHY.a, sees: {b}}}
    expect(namesOf(topologyOf(spec))).toEqual([])
  })

  it('has not moved when they are linked to it', () => {
    expect(namesOf(topologyOf(elsewhere('')))).toEqual([])
    expect(namesOf(topologyOf(HEALTHY))).toEqual([])
  })

  it('has not moved from where somebody is linked to it', () => {
    const b = {host: '10.0.0.9'}
    const spec = {...HEALTHY, a: {...HEALTHY.a, sees: {b: {...b, flags: 'fail?'}}}, c: {...HEALTHY.c, sees: {b}}}
    expect(namesOf(topologyOf(spec))).toEqual([])
  })

  it('has not moved when it is only suspected where it is', () => {
    expect(namesOf(topologyOf({...HEALTHY, a: {...HEALTHY.a, sees: {b: {flags: 'fail?'}}}}))).toEqual([])
  })

  it('is introduced again before anything else is repaired', () => {
    const spec = elsewhere('fail')
    const topology = topologyOf({...spec, b1: {...HEALTHY.b1, unreachable: 'gone'}, c1: {...HEALTHY.c1, slots: ''}})
    const {repairs} = planRepairs(topology, NO_KEYS)
    expect(repairs.map(({act, risk}) => [act, risk])).toEqual([[{kind: 're-meet', nodes: [idOf('b')]}, 'safe']])
  })
})

describe('a node that answers alone', () => {
  const alone = (host: string): Topology =>
    topologyOf({
      a: {...HEALTHY.a, sees: {a: {host}}},
      b: {...HEALTHY.b, flags: 'fail?', unreachable: 'refused'},
      c: {...HEALTHY.c, flags: 'fail?', unreachable: 'refused'},
    })

  it('gives nobody up when its own file has another address for it', () => {
    const topology = alone('10.0.0.9')
    expect(topology.nodes.filter(seemsToHaveMoved).map(({id}) => id)).toEqual([idOf('a')])
    const {repairs, obstacles} = planRepairs(topology, NO_KEYS)
    expect(repairs).toEqual([])
    expect(obstacles[0]?.suggestions[0]).toContain('--seed NEW')
    expect(planRepairs(topology, NO_KEYS, {withUnreachablePrimaries: true}).repairs).not.toEqual([])
  })

  it('may give the others up when it is where it was', () => {
    const {repairs} = planRepairs(alone('127.0.0.1'), NO_KEYS)
    expect(new Set(repairs.map(({risk}) => risk))).toEqual(new Set(['data-loss']))
  })
})
