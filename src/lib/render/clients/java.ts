/** The settings of Jedis and Lettuce. Authorities of their own are a matter of the JVM's trust store. */
import type {NodeAddress} from '../../topology/model.ts'
import {type AddressPair, type ClientFacts, PASSWORD_VARIABLE, quoted} from './client-facts.ts'

/** https://javadoc.io/doc/redis.clients/jedis: HostAndPortMapper, set in DefaultJedisClientConfig. */
export function renderJedis(facts: ClientFacts): string {
  const {startupNodes, addressMap, isTls, user, hasPassword} = facts
  const make = ({host, port}: NodeAddress): string => `new HostAndPort(${quoted(host)}, ${port})`
  return [
    ...(addressMap.length > 0 ? ['import java.util.Map;'] : []),
    'import java.util.Set;',
    'import redis.clients.jedis.DefaultJedisClientConfig;',
    'import redis.clients.jedis.HostAndPort;',
    'import redis.clients.jedis.JedisCluster;',
    '',
    ...mapLines(facts.addressMap, make),
    'var config = DefaultJedisClientConfig.builder()',
    ...(user === undefined ? [] : [`    .user(${quoted(user)})`]),
    ...(hasPassword ? [`    .password(System.getenv("${PASSWORD_VARIABLE}"))`] : []),
    ...(isTls ? ['    .ssl(true)'] : []),
    ...(addressMap.length > 0 ? ['    .hostAndPortMapper(address -> addresses.getOrDefault(address, address))'] : []),
    '    .build();',
    'var cluster = new JedisCluster(Set.of(',
    listed(startupNodes.map(make)),
    '), config);',
  ].join('\n')
}

/**
 * https://redis.github.io/lettuce/advanced-usage: MappingSocketAddressResolver. Lettuce goes by CLUSTER NODES, and by the
 * others in redirections.
 */
export function renderLettuce(facts: ClientFacts): string {
  const {startupNodes, isTls, user, hasPassword} = facts
  const addressMap = [...facts.addressMap, ...facts.listedMap]
  const isMapped = addressMap.length > 0
  const make = ({host, port}: NodeAddress): string => `HostAndPort.of(${quoted(host)}, ${port})`
  const secret = `System.getenv("${PASSWORD_VARIABLE}").toCharArray()`
  const login = hasPassword
    ? user === undefined
      ? `.withPassword(${secret})`
      : `.withAuthentication(${quoted(user)}, ${secret})`
    : ''
  const uris = startupNodes.map(
    ({host, port}) =>
      `RedisURI.builder().withHost(${quoted(host)}).withPort(${port})${isTls ? '.withSsl(true)' : ''}${login}.build()`,
  )
  return [
    'import io.lettuce.core.RedisURI;',
    'import io.lettuce.core.cluster.RedisClusterClient;',
    ...(isMapped
      ? [
          'import io.lettuce.core.internal.HostAndPort;',
          'import io.lettuce.core.resource.ClientResources;',
          'import io.lettuce.core.resource.DnsResolver;',
          'import io.lettuce.core.resource.MappingSocketAddressResolver;',
        ]
      : []),
    'import java.util.List;',
    ...(isMapped ? ['import java.util.Map;'] : []),
    '',
    ...mapLines(addressMap, make),
    ...(isMapped
      ? [
          'var resources = ClientResources.builder()',
          '    .socketAddressResolver(MappingSocketAddressResolver.create(',
          '        DnsResolver.jvmDefault(), address -> addresses.getOrDefault(address, address)))',
          '    .build();',
        ]
      : []),
    `var client = RedisClusterClient.create(${isMapped ? 'resources, ' : ''}List.of(`,
    listed(uris),
    '));',
  ].join('\n')
}

function mapLines(addressMap: readonly AddressPair[], make: (address: NodeAddress) => string): string[] {
  if (addressMap.length === 0) return []
  const entries = addressMap.map(({told, reachedAt}) => `Map.entry(${make(told)}, ${make(reachedAt)})`)
  return ['var addresses = Map.ofEntries(', listed(entries), ');']
}

function listed(items: readonly string[]): string {
  return items.map((item) => `    ${item}`).join(',\n')
}
