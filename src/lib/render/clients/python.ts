/** The settings of redis-py (and of valkey-py, which has the same under its own name). */
import type {NodeAddress} from '../../topology/model.ts'
import {type ClientFacts, PASSWORD_VARIABLE, quoted} from './client-facts.ts'

/** https://redis.readthedocs.io/en/stable/clustering.html: address_remap is called with (host, port), and returns such. */
export function renderRedisPy(facts: ClientFacts): string {
  const {startupNodes, addressMap, isTls, caFile, user, hasPassword} = facts
  return [
    ...(hasPassword ? ['import os', ''] : []),
    'from redis.cluster import ClusterNode, RedisCluster',
    '',
    ...(addressMap.length > 0
      ? ['addresses = {', ...addressMap.map(({told, reachedAt}) => `    ${pair(told)}: ${pair(reachedAt)},`), '}']
      : []),
    'cluster = RedisCluster(',
    '    startup_nodes=[',
    ...startupNodes.map(({host, port}) => `        ClusterNode(${quoted(host)}, ${port}),`),
    '    ],',
    ...(addressMap.length > 0 ? ['    address_remap=lambda address: addresses.get(address, address),'] : []),
    ...(user === undefined ? [] : [`    username=${quoted(user)},`]),
    ...(hasPassword ? [`    password=os.environ["${PASSWORD_VARIABLE}"],`] : []),
    ...(isTls ? ['    ssl=True,'] : []),
    ...(isTls && caFile !== undefined ? [`    ssl_ca_certs=${quoted(caFile)},`] : []),
    ')',
  ].join('\n')
}

function pair({host, port}: NodeAddress): string {
  return `(${quoted(host)}, ${port})`
}
