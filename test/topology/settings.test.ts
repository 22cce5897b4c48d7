import {describe, expect, test} from 'vitest'
import {isOfOneNode, isSecretSetting, meansTheSame, withoutOldNames} from '../../src/lib/topology/settings.ts'
import {parseUserLine, sketchUser} from '../../src/lib/topology/user-rules.ts'

test.each([
  ['requirepass', true],
  ['masterauth', true],
  ['primaryauth', true],
  ['tls-key-file-pass', true],
  ['tls-client-key-file-pass', true],
  ['masteruser', false],
  ['tls-auth-clients', false],
  ['acl-pubsub-default', false],
  ['maxmemory', false],
])('%s is a secret: %s', (name, isSecret) => {
  expect(isSecretSetting(name)).toBe(isSecret)
})

test.each([
  ['port', true],
  ['cluster-announce-ip', true],
  ['dir', true],
  ['aclfile', true],
  ['cluster-port', true],
  ['maxmemory', false],
  ['unixsocketperm', false],
  ['tls-cluster', false],
  ['tls-ca-cert-file', false],
])('%s is of one node alone: %s', (name, isOwn) => {
  expect(isOfOneNode(name)).toBe(isOwn)
})

test('what is told again under an old name is left out, where the new one is known', () => {
  const names = new Set(['replica-priority', 'slave-priority', 'masterauth', 'lua-time-limit', 'busy-reply-threshold'])
  expect(withoutOldNames(names)).toEqual(['busy-reply-threshold', 'masterauth', 'replica-priority'])
})

describe('values', () => {
  test.each([
    ['100mb', '104857600'],
    ['1g', '1000000000'],
    ['YES', 'yes'],
    ['KEA', 'AKE'],
    ['Kg$', '$gK'],
    ['900 1', '900 1'],
  ])('%s is %s', (asked, told) => {
    expect(meansTheSame(asked, told)).toBe(true)
  })

  test.each([
    ['100mb', '100000000'],
    ['no', 'on'],
    ['12', '21'],
    ['allkeys-lru', 'allkeys-lfu'],
    ['KE', 'KEA'],
  ])('%s is not %s', (asked, told) => {
    expect(meansTheSame(asked, told)).toBe(false)
  })
})

test('a selector is one rule', () => {
  const line = 'user app on #aa ~app:* resetchannels -@all +get (~other:* -@all +set)'
  expect(parseUserLine(line)).toEqual({
    name: 'app',
    rules: ['on', '#aa', '~app:*', 'resetchannels', '-@all', '+get', '(~other:* -@all +set)'],
  })
  expect(sketchUser(line).rules).toContain('(~other:* -@all +set)')
})

test('what is so by default makes no difference', () => {
  const {digest, rules} = sketchUser('user app on sanitize-payload ~app:* +get')
  expect(rules).toEqual(['on', '~app:*', '+get'])
  expect(digest).toBe(sketchUser('user app on ~app:* +get').digest)
  expect(digest).not.toBe(sketchUser('user app on skip-sanitize-payload ~app:* +get').digest)
})
