/** What are the settings of one client library, or of all, as they can be pasted? */
import {formatAddress} from '../../topology/model.ts'
import {clean} from '../clean.ts'
import type {Style} from '../colour.ts'
import {renderTable} from '../table.ts'
import {wrap} from '../wrap.ts'
import {type ClientFacts, PASSWORD_VARIABLE} from './client-facts.ts'
import {renderGoRedis} from './go.ts'
import {renderJedis, renderLettuce} from './java.ts'
import {renderIoredis, renderNodeRedis} from './javascript.ts'
import {renderRedisPy} from './python.ts'

const RENDERERS = {
  ioredis: renderIoredis,
  'node-redis': renderNodeRedis,
  'redis-py': renderRedisPy,
  'go-redis': renderGoRedis,
  jedis: renderJedis,
  lettuce: renderLettuce,
} as const

export type ClientLibrary = keyof typeof RENDERERS

export const CLIENT_LIBRARIES = Object.keys(RENDERERS) as readonly ClientLibrary[]

/** Of those named; by the library's name. Hosts and users in it are quoted. */
export function clientSettings(
  libraries: readonly ClientLibrary[],
  facts: ClientFacts,
): Readonly<Partial<Record<ClientLibrary, string>>> {
  return Object.fromEntries(libraries.map((library) => [library, RENDERERS[library](facts)]))
}

/** What is so, for people: without the settings themselves. */
export function renderClientFacts(facts: ClientFacts, style: Style): string {
  const {addressMap, listedMap, isNameless, startupNodes, user, hasPassword} = facts
  const pairs = [...addressMap, ...listedMap].map((pair) => [
    clean(formatAddress(pair.told)),
    clean(formatAddress(pair.reachedAt)),
  ])
  const verdict = isNameless
    ? 'The nodes send clients to some nodes without telling the host: clients do not get there, whatever they are told here.'
    : addressMap.length > 0
      ? 'The nodes send clients to addresses that do not lead to them from here: a client needs a map.'
      : listedMap.length > 0
        ? 'The nodes send clients to addresses that are reached from here: startup nodes are all that a client needs. Lettuce goes by CLUSTER NODES, too, and needs a map for it.'
        : 'The nodes send clients to addresses that are reached from here: startup nodes are all that a client needs.'
  return [
    wrap(verdict, style, 0, 0),
    '',
    ...(pairs.length > 0 ? [renderTable([{title: 'Clients are told'}, {title: 'Reached at'}], pairs, style), ''] : []),
    wrap(`Startup nodes: ${startupNodes.map((node) => clean(formatAddress(node))).join(' ')}`, style, 0, 2),
    ...(hasPassword
      ? [
          `Login: ${clean(user ?? 'the default user')}, with the password in the environment variable ${PASSWORD_VARIABLE}.`,
        ]
      : []),
  ].join('\n')
}

/** Of each library under its name; of one only, just its settings. */
export function renderClientSettings(
  settings: Readonly<Partial<Record<ClientLibrary, string>>>,
  {chalk, isUnicode}: Style,
): string {
  const sections = Object.entries(settings)
  const [only] = sections
  if (sections.length === 1 && only) return only[1]
  const rule = isUnicode ? '──' : '--'
  return sections.map(([library, text]) => `${chalk.bold(`${rule} ${library}`)}\n\n${text}`).join('\n\n')
}
