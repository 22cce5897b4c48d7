import {describe, expect, it} from 'vitest'
import {UsageError} from '../../src/lib/errors.ts'
import {type ImportWishes, planImport} from '../../src/lib/plan/import.ts'

const DEFAULTS: ImportWishes = {databases: undefined, map: undefined, into: undefined, conflicts: 'fail'}
const KEYS = new Map([
  [3, 7],
  [0, 5],
  [9, 0],
])

describe('databases of an import', () => {
  const table: {
    name: string
    wishes: Partial<ImportWishes>
    there: number
    routes: [number, number][]
    left?: number[]
  }[] = [
    {
      name: 'all with keys go to 0 where there is no other',
      wishes: {},
      there: 1,
      routes: [
        [0, 0],
        [3, 0],
      ],
    },
    {
      name: 'each keeps its number where the cluster has it',
      wishes: {},
      there: 16,
      routes: [
        [0, 0],
        [3, 3],
      ],
    },
    {name: 'only those named', wishes: {databases: [3]}, there: 1, routes: [[3, 0]], left: [0]},
    {name: 'those mapped, and no other', wishes: {map: new Map([[0, 2]])}, there: 4, routes: [[0, 2]], left: [3]},
    {
      name: 'all into one',
      wishes: {into: 1},
      there: 2,
      routes: [
        [0, 1],
        [3, 1],
      ],
    },
    {name: 'named ones into one', wishes: {databases: [3], into: 1}, there: 2, routes: [[3, 1]], left: [0]},
    {name: 'none that holds nothing', wishes: {databases: [9]}, there: 1, routes: [], left: [0, 3]},
  ]
  it.each(table)('$name', ({wishes, there, routes, left = []}) => {
    const plan = planImport(KEYS, there, {...DEFAULTS, ...wishes})
    expect(plan.routes.map(({from, to}) => [from, to])).toEqual(routes)
    expect(plan.left.map(({database}) => database)).toEqual(left)
  })

  it('are refused where the cluster has none of that number', () => {
    expect(() => planImport(KEYS, 1, {...DEFAULTS, into: 1})).toThrow('the cluster has only database 0, and not 1')
    expect(() => planImport(KEYS, 4, {...DEFAULTS, map: new Map([[0, 4]])})).toThrow(UsageError)
  })

  it('that become one are warned of, and do not overwrite each other unless that is said', () => {
    const [warning] = planImport(KEYS, 1, DEFAULTS).warnings
    expect(warning).toBe(
      'Databases 0 and 3 become database 0: of keys with the same name the first is copied, and the others are named as failed.',
    )
    expect(planImport(KEYS, 16, DEFAULTS).warnings).toEqual([])
    expect(() => planImport(KEYS, 1, {...DEFAULTS, conflicts: 'replace'})).toThrow(UsageError)
    expect(planImport(KEYS, 1, {...DEFAULTS, conflicts: 'replace', into: 0}).routes).toHaveLength(2)
  })
})
