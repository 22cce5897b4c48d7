import {describe, expect, test} from 'vitest'
import {RefusedError} from '../../src/lib/errors.ts'
import {type FunctionSyncOptions, planFunctionSync} from '../../src/lib/plan/function-sync.ts'
import {buildTopology, nodeId, nodeName} from '../support/topology-builder.ts'

const topology = buildTopology({
  primaries: {a: '0-5460', b: '5461-10922', c: '10923-16383'},
  replicas: {a1: 'a'},
})

type Told = Readonly<Record<string, Readonly<Record<string, string>>>>

function plan(told: Told, options: Partial<FunctionSyncOptions> = {}): string[] {
  const libraries = new Map(Object.entries(told).map(([name, own]) => [nodeId(name), new Map(Object.entries(own))]))
  const {copies} = planFunctionSync(topology, libraries, {isReplacing: false, ...options})
  return copies.map(
    ({library, digest, from, to, isReplacing}) =>
      `${library}=${digest} ${nodeName(from)}->${nodeName(to)}${isReplacing ? ' over' : ''}`,
  )
}

describe('libraries', () => {
  test('that all have are let be', () => {
    expect(plan({a: {one: '1'}, b: {one: '1'}, c: {one: '1'}})).toEqual([])
    expect(plan({a: {}, b: {}, c: {}})).toEqual([])
  })

  test('that some lack are copied there', () => {
    expect(plan({a: {one: '1', two: '2'}, b: {one: '1'}, c: {}})).toEqual(['two=2 a->b', 'one=1 a->c', 'two=2 a->c'])
  })

  test('of other code are not guessed, whatever most have', () => {
    const told = {a: {one: '1'}, b: {one: '1'}, c: {one: '9'}}
    expect(() => plan(told)).toThrow(RefusedError)
    expect(() => plan(told, {from: nodeId('a')})).toThrow(/other code on .* than on/)
    expect(() => plan({a: {one: '1'}, b: {one: '9'}, c: {}}, {isReplacing: true})).toThrow(RefusedError)
  })

  test('are overwritten by what most have, or by what is named', () => {
    const told = {a: {one: '1'}, b: {one: '1'}, c: {one: '9'}}
    expect(plan(told, {isReplacing: true})).toEqual(['one=1 a->c over'])
    expect(plan(told, {isReplacing: true, from: nodeId('c')})).toEqual(['one=9 c->a over', 'one=9 c->b over'])
  })

  test('may come from a replica, and what the source lacks stays', () => {
    const told = {a: {old: '5'}, b: {}, c: {}, a1: {one: '1'}}
    expect(plan(told, {from: nodeId('a1')})).toEqual(['one=1 a1->a', 'one=1 a1->b', 'one=1 a1->c'])
  })
})
