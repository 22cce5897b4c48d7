import {describe, expect, it} from 'vitest'
import {outlookOf, type SlotEnd} from '../../src/lib/engine/steps.ts'

const S = 's'.repeat(40)
const T = 't'.repeat(40)
const X = 'x'.repeat(40)
const move = {slot: 866, from: S, to: T}
const end = (facts: Partial<SlotEnd> = {}): SlotEnd => ({
  hasClaim: false,
  migratingTo: undefined,
  importingFrom: undefined,
  ...facts,
})

describe('what is left to do for a slot', () => {
  const rows: {name: string; source: SlotEnd; target: SlotEnd; steps: string[]}[] = [
    {
      name: 'everything, in the safe order, for a slot that nobody touched',
      source: end({hasClaim: true}),
      target: end(),
      steps: ['set-importing', 'set-migrating', 'drain', 'assign-target', 'assign-source'],
    },
    {
      name: 'all but IMPORTING when a run ended after it',
      source: end({hasClaim: true}),
      target: end({importingFrom: S}),
      steps: ['set-migrating', 'drain', 'assign-target', 'assign-source'],
    },
    {
      name: 'IMPORTING comes back where only the source is marked',
      source: end({hasClaim: true, migratingTo: T}),
      target: end(),
      steps: ['set-importing', 'drain', 'assign-target', 'assign-source'],
    },
    {
      name: 'the keys and the owners when both ends are marked',
      source: end({hasClaim: true, migratingTo: T}),
      target: end({importingFrom: S}),
      steps: ['drain', 'assign-target', 'assign-source'],
    },
    {
      name: 'only the source when the target has the slot and the source still marks it',
      source: end({migratingTo: T}),
      target: end({hasClaim: true}),
      steps: ['assign-source'],
    },
    {
      name: 'only the source when both claim it',
      source: end({hasClaim: true, migratingTo: T}),
      target: end({hasClaim: true}),
      steps: ['assign-source'],
    },
  ]
  it.each(rows)('$name', ({source, target, steps}) => {
    expect(outlookOf(move, {source, target})).toEqual({kind: 'steps', steps})
  })

  it('is nothing once the target alone has the slot', () => {
    expect(outlookOf(move, {source: end(), target: end({hasClaim: true})})).toEqual({kind: 'done'})
  })

  const strays: {name: string; source: SlotEnd; target: SlotEnd}[] = [
    {name: 'open toward another node', source: end({hasClaim: true, migratingTo: X}), target: end()},
    {name: 'coming from another node', source: end({hasClaim: true}), target: end({importingFrom: X})},
    {name: 'claimed by neither end', source: end(), target: end()},
  ]
  it.each(strays)('is not ours to do for a slot $name', ({source, target}) => {
    expect(outlookOf(move, {source, target}).kind).toBe('astray')
  })

  it('marks again what names the former primary of a shard after a failover', () => {
    const sight = {source: end({hasClaim: true}), target: end({importingFrom: X})}
    const outlook = outlookOf(move, sight, {source: new Set([S, X]), target: new Set([T])})
    expect(outlook).toMatchObject({kind: 'steps'})
    expect(outlook).toHaveProperty('steps', [
      'name-source',
      'set-importing',
      'set-migrating',
      'drain',
      'assign-target',
      'assign-source',
    ])
  })

  it('never assigns the target before a drain, whatever is seen', () => {
    for (const hasClaim of [true, false]) {
      for (const migratingTo of [undefined, T]) {
        for (const importingFrom of [undefined, S]) {
          const sight = {source: end({hasClaim, migratingTo}), target: end({importingFrom})}
          const outlook = outlookOf(move, sight)
          if (outlook.kind !== 'steps') continue
          const drain = outlook.steps.indexOf('drain')
          const assign = outlook.steps.indexOf('assign-target')
          expect(assign === -1 || (drain !== -1 && drain < assign)).toBe(true)
        }
      }
    }
  })
})
