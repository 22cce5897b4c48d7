import {expect, test} from 'vitest'
import type {Announcement} from '../../src/lib/plan/plan.ts'
import {lostSettings, renderAnnouncement} from '../../src/lib/render/announcement.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'

const NAMED: Announcement = {
  way: 'name',
  nodes: ['cache-1:6379', 'cache-2:6379'].map((address) => ({
    address,
    settings: [
      {name: 'cluster-announce-hostname', value: address.slice(0, 7)},
      {name: 'cluster-preferred-endpoint-type', value: 'hostname'},
    ],
  })),
  warnings: ['mind the gap'],
}

test('each node is told with what it is set to', () => {
  expect(renderAnnouncement(NAMED, PLAIN_STYLE)).toMatchInlineSnapshot(`
    "Node          Is set to
    ------------------------------------------------------
    cache-1:6379  cluster-announce-hostname cache-1
                  cluster-preferred-endpoint-type hostname
    cache-2:6379  cluster-announce-hostname cache-2
                  cluster-preferred-endpoint-type hostname

    Clients are sent to these names; the nodes go on using their own addresses.
    Warning: mind the gap"
  `)
})

test('who forgets it is told with the words to start it with', () => {
  const text = lostSettings(['cache-2:6379'], 'it has no file', NAMED)
  expect(text).toContain('until the restart of cache-2:6379: it has no file.')
  expect(text).toContain('--cluster-announce-hostname cache-2 --cluster-preferred-endpoint-type hostname')
  const many = Array.from({length: 9}, (_, index) => `cache-${index}:6379`)
  expect(lostSettings(many, 'it has no file', NAMED)).toContain('cache-5:6379 and 3 more: it has no file')
})
