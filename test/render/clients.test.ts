import {describe, expect, test} from 'vitest'
import type {ClientFacts} from '../../src/lib/render/clients/client-facts.ts'
import {
  CLIENT_LIBRARIES,
  clientSettings,
  renderClientFacts,
  renderClientSettings,
} from '../../src/lib/render/clients/client-settings.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'

const DIRECT: ClientFacts = {
  startupNodes: [{host: '10.0.0.1', port: 6379}],
  addressMap: [],
  listedMap: [],
  isNameless: false,
  isTls: false,
  caFile: undefined,
  user: undefined,
  hasPassword: false,
}

const MAPPED: ClientFacts = {
  ...DIRECT,
  startupNodes: [
    {host: '127.0.0.1', port: 7000},
    {host: '::1', port: 7001},
  ],
  addressMap: [
    {told: {host: '172.17.0.2', port: 6379}, reachedAt: {host: '127.0.0.1', port: 7000}},
    {told: {host: 'fd00::3', port: 6379}, reachedAt: {host: '::1', port: 7001}},
  ],
  isTls: true,
  caFile: '/etc/ca "x".pem',
  user: 'app',
  hasPassword: true,
}

describe('the settings of', () => {
  test.each(CLIENT_LIBRARIES)('%s, with a map, TLS and a login', (library) => {
    expect(clientSettings([library], MAPPED)[library]).toMatchSnapshot()
  })

  test.each(CLIENT_LIBRARIES)('%s, where startup nodes are enough', (library) => {
    const text = clientSettings([library], DIRECT)[library] ?? ''
    expect(text).toMatchSnapshot()
    expect(text).not.toMatch(/map|Map|Dialer|remap|password|tls|ssl/)
  })

  test('one library are nothing but settings', () => {
    const settings = clientSettings(['ioredis'], DIRECT)
    expect(renderClientSettings(settings, PLAIN_STYLE)).toBe(settings.ioredis)
    expect(renderClientSettings(clientSettings(['jedis', 'lettuce'], DIRECT), PLAIN_STYLE)).toMatch(
      /^-- jedis\n\n[^-]*\n-- lettuce/,
    )
  })
})

test('only Lettuce needs what CLUSTER NODES alone tells', () => {
  const listedMap = [{told: {host: '10.9.9.9', port: 6379}, reachedAt: {host: '10.0.0.1', port: 6379}}]
  const settings = clientSettings(CLIENT_LIBRARIES, {...DIRECT, listedMap})
  const mapping = Object.entries(settings).filter(([, text]) => text?.includes('10.9.9.9'))
  expect(mapping.map(([library]) => library)).toEqual(['lettuce'])
})

describe('what is said of them', () => {
  test('nothing but startup nodes is needed', () => {
    expect(renderClientFacts(DIRECT, PLAIN_STYLE)).toBe(
      'The nodes send clients to addresses that are reached from here: startup nodes are all that a client needs.\n\nStartup nodes: 10.0.0.1:6379',
    )
  })

  test('a node without a host is no matter of maps', () => {
    expect(renderClientFacts({...DIRECT, isNameless: true}, PLAIN_STYLE)).toMatch(
      /^The nodes send clients to some nodes without/,
    )
  })

  test('a map is needed, and a password that is not told', () => {
    expect(renderClientFacts(MAPPED, PLAIN_STYLE)).toMatchInlineSnapshot(`
      "The nodes send clients to addresses that do not lead to them from here: a client needs a map.

      Clients are told  Reached at
      --------------------------------
      172.17.0.2:6379   127.0.0.1:7000
      [fd00::3]:6379    [::1]:7001

      Startup nodes: 127.0.0.1:7000 [::1]:7001
      Login: app, with the password in the environment variable REDIS_PASSWORD."
    `)
  })
})
