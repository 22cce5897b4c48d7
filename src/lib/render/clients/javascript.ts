/** The settings of ioredis and node-redis. */
import type {NodeAddress} from '../../topology/model.ts'
import {type ClientFacts, PASSWORD_VARIABLE, plainKey, quoted} from './client-facts.ts'

/** https://github.com/redis/ioredis#nat-mapping: natMap is looked up by "host:port". */
export function renderIoredis(facts: ClientFacts): string {
  const login = [...loginOf(facts), ...tlsOf(facts, 'tls: ')]
  const options = [
    ...mapLines(facts, 'natMap'),
    ...(login.length > 0 ? ['  redisOptions: {', ...login.map((line) => `    ${line},`), '  },'] : []),
  ]
  return [
    ...readFileLines(facts),
    `import {Cluster} from ${quoted('ioredis')}`,
    '',
    'const cluster = new Cluster([',
    ...facts.startupNodes.map((node) => `  ${place(node)},`),
    ...(options.length > 0 ? ['], {', ...options, '})'] : ['])']),
  ].join('\n')
}

/** https://github.com/redis/node-redis/blob/master/docs/clustering.md: nodeAddressMap is looked up by "host:port". */
export function renderNodeRedis(facts: ClientFacts): string {
  const socket = facts.isTls
    ? [`socket: {tls: true${facts.caFile === undefined ? '' : `, ca: readFileSync(${quoted(facts.caFile)})`}}`]
    : []
  const defaults = [...loginOf(facts), ...socket]
  return [
    ...readFileLines(facts),
    `import {createCluster} from ${quoted('redis')}`,
    '',
    'const cluster = createCluster({',
    '  rootNodes: [',
    ...facts.startupNodes.map((node) => `    {socket: ${place(node)}},`),
    '  ],',
    ...mapLines(facts, 'nodeAddressMap'),
    ...(defaults.length > 0 ? ['  defaults: {', ...defaults.map((line) => `    ${line},`), '  },'] : []),
    '})',
    'cluster.on("error", (error) => process.emitWarning(error))',
    'await cluster.connect()',
  ].join('\n')
}

function place({host, port}: NodeAddress): string {
  return `{host: ${quoted(host)}, port: ${port}}`
}

function mapLines({addressMap}: ClientFacts, name: string): string[] {
  if (addressMap.length === 0) return []
  const lines = addressMap.map(({told, reachedAt}) => `    ${quoted(plainKey(told))}: ${place(reachedAt)},`)
  return [`  ${name}: {`, ...lines, '  },']
}

function loginOf({user, hasPassword}: ClientFacts): string[] {
  return [
    ...(user === undefined ? [] : [`username: ${quoted(user)}`]),
    ...(hasPassword ? [`password: process.env.${PASSWORD_VARIABLE}`] : []),
  ]
}

function tlsOf({isTls, caFile}: ClientFacts, name: string): string[] {
  if (!isTls) return []
  return [`${name}{${caFile === undefined ? '' : `ca: readFileSync(${quoted(caFile)})`}}`]
}

function readFileLines({isTls, caFile}: ClientFacts): string[] {
  return isTls && caFile !== undefined ? [`import {readFileSync} from ${quoted('node:fs')}`] : []
}
