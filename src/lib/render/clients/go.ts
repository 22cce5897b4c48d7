/** The settings of go-redis. */
import {formatAddress} from '../../topology/model.ts'
import {type ClientFacts, PASSWORD_VARIABLE, quoted} from './client-facts.ts'

/**
 * https://pkg.go.dev/github.com/redis/go-redis/v9#ClusterOptions: Dialer is called with "host:port". TLSConfig is only heeded
 * by the dialer that it replaces, so TLS begins in it.
 */
export function renderGoRedis(facts: ClientFacts): string {
  const {startupNodes, addressMap, isTls, caFile, user, hasPassword} = facts
  const isMapped = addressMap.length > 0
  const packages = [
    ...(isMapped ? ['context'] : []),
    ...(isTls ? ['crypto/tls'] : []),
    ...(isTls && caFile !== undefined ? ['crypto/x509'] : []),
    ...(isMapped ? ['net'] : []),
    ...(hasPassword || (isTls && caFile !== undefined) ? ['os'] : []),
  ]
  return [
    'import (',
    ...packages.map((name) => `\t"${name}"`),
    ...(packages.length > 0 ? [''] : []),
    '\t"github.com/redis/go-redis/v9"',
    ')',
    '',
    ...(isMapped
      ? [
          'var addresses = map[string]string{',
          ...addressMap.map(
            ({told, reachedAt}) => `\t${quoted(formatAddress(told))}: ${quoted(formatAddress(reachedAt))},`,
          ),
          '}',
          '',
        ]
      : []),
    'func newCluster() *redis.ClusterClient {',
    ...tlsLines(facts),
    '\treturn redis.NewClusterClient(&redis.ClusterOptions{',
    `\t\tAddrs: []string{${startupNodes.map((node) => quoted(formatAddress(node))).join(', ')}},`,
    ...(user === undefined ? [] : [`\t\tUsername: ${quoted(user)},`]),
    ...(hasPassword ? [`\t\tPassword: os.Getenv("${PASSWORD_VARIABLE}"),`] : []),
    ...(isTls && !isMapped ? ['\t\tTLSConfig: tlsConfig,'] : []),
    ...(isMapped
      ? [
          '\t\tDialer: func(ctx context.Context, network, addr string) (net.Conn, error) {',
          '\t\t\tif reachedAt, ok := addresses[addr]; ok {',
          '\t\t\t\taddr = reachedAt',
          '\t\t\t}',
          `\t\t\tdialer := ${isTls ? 'tls.Dialer{Config: tlsConfig}' : 'net.Dialer{}'}`,
          '\t\t\treturn dialer.DialContext(ctx, network, addr)',
          '\t\t},',
        ]
      : []),
    '\t})',
    '}',
  ].join('\n')
}

function tlsLines({isTls, caFile}: ClientFacts): string[] {
  if (!isTls) return []
  if (caFile === undefined) return ['\ttlsConfig := &tls.Config{}']
  return [
    `\tca, err := os.ReadFile(${quoted(caFile)})`,
    '\tif err != nil {',
    '\t\tpanic(err)',
    '\t}',
    '\tauthorities := x509.NewCertPool()',
    '\tauthorities.AppendCertsFromPEM(ca)',
    '\ttlsConfig := &tls.Config{RootCAs: authorities}',
  ]
}
