import {expect, test} from 'vitest'
import {renderPlacementPlan, renderReplacePlan} from '../../src/lib/render/acts.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'

const node = (digit: string) => ({id: digit.repeat(40), address: `10.0.0.${digit}:6379`})

test('a replacement is told in steps, then what to mind', () => {
  const text = renderReplacePlan(
    {
      version: 1,
      kind: 'replace-node',
      old: {...node('1'), role: 'primary', isReachable: true},
      replacement: node('7'),
      slots: '0-5460',
      acts: [
        {kind: 'join', node: node('7')},
        {kind: 'replicate', node: node('7'), primary: node('1')},
        {kind: 'fail-over', replica: node('7'), primary: node('1')},
        {kind: 'remove', node: node('1')},
      ],
      warnings: ['Something else.'],
    },
    PLAIN_STYLE,
  )
  expect(text.split('\n')).toEqual([
    '10.0.0.7:6379 takes the place of 10.0.0.1:6379, primary of 5461 slots.',
    '',
    '1  10.0.0.7:6379 joins the cluster',
    '2  10.0.0.7:6379 follows 10.0.0.1:6379 and gets its keys',
    '3  10.0.0.7:6379 takes over from 10.0.0.1:6379, without losing a write',
    '4  10.0.0.1:6379 is forgotten by all, and reset',
    'Warning: Something else.',
  ])
})

test('a placement shows the shards as they will be, with zones; text of servers is cleaned', () => {
  const text = renderPlacementPlan(
    {
      version: 1,
      kind: 'placement',
      shards: [
        {
          primary: {...node('1'), zone: 'a\u001b[31m'},
          replicas: [{...node('2'), zone: 'b'}, node('3')],
          primaryBefore: '',
        },
      ],
      acts: [],
      warnings: [],
    },
    PLAIN_STYLE,
  )
  expect(text).toContain('10.0.0.2:6379 in b, 10.0.0.3:6379')
  expect(text).not.toContain('\u001b')
})
