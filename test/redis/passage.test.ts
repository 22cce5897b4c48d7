import {expect, test} from 'vitest'
import {passageOf} from '../../src/lib/redis/connect.ts'
import type {NodeAddress} from '../../src/lib/topology/model.ts'

const at = (host: string, port = 6379): NodeAddress => ({host, port})
const inner = at('10.0.0.1')
const outer = at('203.0.113.1')
const socket = at('/run/redis.sock', 0)

test.each([
  {name: 'an address', dialled: inner, peer: inner, seen: inner, named: inner, resolved: inner, internal: inner},
  {
    name: 'a name leads to an address',
    dialled: at('db.example'),
    peer: inner,
    seen: inner,
    named: at('db.example'),
    resolved: inner,
    internal: inner,
  },
  {
    name: 'one of several addresses of a host, which is named by another',
    dialled: outer,
    peer: outer,
    seen: outer,
    named: inner,
    resolved: outer,
    internal: inner,
  },
  {
    name: 'a tunnel to a host that is named',
    dialled: at('127.0.0.1', 7000),
    peer: at('127.0.0.1', 7000),
    seen: at('127.0.0.1'),
    named: inner,
    resolved: at('127.0.0.1', 7000),
    internal: inner,
  },
  {
    name: 'a published port shows the address behind it, whatever it was named',
    dialled: at('127.0.0.1', 7000),
    peer: at('127.0.0.1', 7000),
    seen: at('172.17.0.2'),
    named: at('192.0.2.1'),
    resolved: at('127.0.0.1', 7000),
    internal: at('172.17.0.2'),
  },
  {
    name: 'a socket whose node says where it is',
    dialled: socket,
    peer: socket,
    seen: undefined,
    named: inner,
    resolved: inner,
    internal: inner,
  },
  {
    name: 'a socket whose node does not say where it is',
    dialled: socket,
    peer: socket,
    seen: undefined,
    named: socket,
    resolved: socket,
    internal: undefined,
  },
])('$name', ({dialled, peer, seen, named, resolved, internal}) => {
  expect(passageOf(dialled, peer, seen, named)).toEqual({resolved, internal})
})
