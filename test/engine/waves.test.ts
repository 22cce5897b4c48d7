import {describe, expect, it} from 'vitest'
import {wavesOf} from '../../src/lib/engine/waves.ts'

const rows: {name: string; pairs: string[]; waves: string[][]}[] = [
  {name: 'sources and targets apart go together', pairs: ['ac', 'bc', 'bd'], waves: [['ac', 'bc', 'bd']]},
  {name: 'two nodes that exchange slots take turns', pairs: ['ab', 'ba'], waves: [['ab'], ['ba']]},
  {name: 'a chain takes two waves', pairs: ['ab', 'bc', 'cd'], waves: [['ab', 'cd'], ['bc']]},
  {name: 'a ring takes three', pairs: ['ab', 'bc', 'ca'], waves: [['ab'], ['bc'], ['ca']]},
  {name: 'no pairs are no wave', pairs: [], waves: []},
]

describe('waves of pairs', () => {
  it.each(rows)('$name', ({pairs, waves}) => {
    expect(wavesOf(pairs, (pair) => ({from: pair[0] as string, to: pair[1] as string}))).toEqual(waves)
  })
})
