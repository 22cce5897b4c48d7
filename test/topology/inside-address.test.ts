import {describe, expect, test} from 'vitest'
import {
  insideAddress,
  insideAddresses,
  isElsewhere,
  isMapped,
  isSameAddress,
  waysTo,
} from '../../src/lib/topology/inside-address.ts'
import type {NodeAddress} from '../../src/lib/topology/model.ts'
import {HEALTHY, idOf, topologyOf} from './cluster-views.ts'

const at = (host: string, port = 6379): NodeAddress => ({host, port})

describe('a port mapping', () => {
  test.each([
    {name: "Docker's, to another port", dialled: at('127.0.0.1', 7000), internal: at('172.17.0.2'), expected: true},
    {name: 'to the same port of another address', dialled: at('10.0.0.1'), internal: at('172.17.0.2'), expected: true},
    {name: 'a name and another port', dialled: at('db.example', 7000), internal: at('172.17.0.2'), expected: true},
    {name: 'none: a name', dialled: at('db.example'), internal: at('10.0.0.1'), expected: false},
    {name: 'none: the address itself', dialled: at('10.0.0.1'), internal: at('10.0.0.1'), expected: false},
    {name: 'none: this machine by another name', dialled: at('::1'), internal: at('127.0.0.1'), expected: false},
    {
      name: 'another loopback address is another host',
      dialled: at('127.0.0.1'),
      internal: at('127.0.2.1'),
      expected: true,
    },
  ])('$name', ({dialled, internal, expected}) => {
    expect(isMapped(dialled, internal)).toBe(expected)
  })
})

test('a tunnel that ends on the host of the server tells nothing of it', () => {
  expect(insideAddress(at('10.0.0.1', 7000), at('127.0.0.1'))).toEqual(at('10.0.0.1', 7000))
  expect(insideAddress(at('10.0.0.1', 7000), at('172.17.0.2'))).toEqual(at('172.17.0.2'))
  expect(insideAddress(at('10.0.0.1', 7000), undefined)).toEqual(at('10.0.0.1', 7000))
})

describe('other nodes reach a node', () => {
  const inner = at('10.0.0.1')
  test.each([
    {name: 'where we do', resolved: inner, internal: inner, known: inner, ways: [inner]},
    {name: 'where we do, as far as we know', resolved: inner, internal: undefined, known: undefined, ways: [inner]},
    {
      name: 'at another address of its host, where they are linked to it',
      resolved: at('203.0.113.1'),
      internal: at('203.0.113.1'),
      known: inner,
      ways: [inner, at('203.0.113.1')],
    },
    {
      name: 'at its real address, when we are on its host',
      resolved: at('127.0.0.1'),
      internal: at('127.0.0.1'),
      known: inner,
      ways: [inner],
    },
    {
      name: 'at its real address, when it was told a loopback address once',
      resolved: inner,
      internal: inner,
      known: at('127.0.0.1'),
      ways: [inner],
    },
    {
      name: 'behind a port mapping, where our connection comes in, before what is announced to clients',
      resolved: at('127.0.0.1', 7000),
      internal: at('172.17.0.2'),
      known: at('192.0.2.1', 7000),
      ways: [at('172.17.0.2'), at('192.0.2.1', 7000)],
    },
    {
      name: 'through a tunnel, where they are linked to it',
      resolved: at('127.0.0.1', 7000),
      internal: at('127.0.0.1'),
      known: inner,
      ways: [inner],
    },
    {
      name: 'at the port of our connection, when only the port differs',
      resolved: inner,
      internal: inner,
      known: at('10.0.0.1', 7000),
      ways: [inner],
    },
    {name: 'on one machine', resolved: at('::1'), internal: at('::1'), known: at('127.0.0.1'), ways: [at('::1')]},
    {name: 'not by a name', resolved: inner, internal: inner, known: at('db.example'), ways: [inner]},
  ])('$name', ({resolved, internal, known, ways}) => {
    expect(insideAddresses({resolved, internal}, known)).toEqual(ways)
  })

  test('where it says it is itself, when nobody is linked to it and we are on its host', () => {
    const own = {a: {host: '10.0.0.9'}}
    const apart = {a: {...HEALTHY.a, sees: own}, b: {...HEALTHY.b, sees: {a: {flags: 'fail'}}}}
    expect(waysTo(topologyOf(apart).nodesById.get(idOf('a'))!)).toEqual([at('10.0.0.9', 7000)])
    const linked = {a: {...HEALTHY.a, sees: own}, b: {...HEALTHY.b, sees: {a: {host: '10.0.0.8'}}}}
    expect(waysTo(topologyOf(linked).nodesById.get(idOf('a'))!)).toEqual([at('10.0.0.8', 7000)])
  })
})

test('two addresses of a host are told apart, loopback addresses and names are not', () => {
  expect(isElsewhere(at('203.0.113.1'), at('10.0.0.1'))).toBe(true)
  expect(isElsewhere(at('10.0.0.1', 7000), at('10.0.0.1'))).toBe(false)
  expect(isElsewhere(at('127.0.0.1'), at('10.0.0.1'))).toBe(false)
  expect(isElsewhere(at('db.example'), at('10.0.0.1'))).toBe(false)
})

test('a socket is no port mapping', () => {
  expect(isMapped({host: '/run/redis.sock', port: 0}, at('10.0.0.1'))).toBe(false)
})

test('localhost is the same in all its spellings, at the same port', () => {
  expect(isSameAddress(at('localhost'), at('127.0.0.1'))).toBe(true)
  expect(isSameAddress(at('localhost'), at('127.0.0.1', 7000))).toBe(false)
})
