/** What is announced by which settings, and what becomes of it when a node restarts? */
import type {Announcement} from '../plan/plan.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderWarning} from './error.ts'
import {renderTable} from './table.ts'

/** What is set where, with its own warnings. */
export function renderAnnouncement({way, nodes, warnings}: Announcement, style: Style): string {
  const table = renderTable(
    [{title: 'Node'}, {title: 'Is set to'}],
    nodes.flatMap(({address, settings}) =>
      settings.map(({name, value}, index) => [index === 0 ? clean(address) : '', clean(`${name} ${value}`)]),
    ),
    style,
  )
  return [table, '', ANNOUNCED_BY[way], ...warnings.map((text) => renderWarning(text, style))].join('\n')
}

const ANNOUNCED_BY: Readonly<Record<Announcement['way'], string>> = {
  clients: 'Clients are sent to these addresses; the nodes go on using their own.',
  name: 'Clients are sent to these names; the nodes go on using their own addresses.',
  address:
    'Clients are sent to these addresses, and the nodes use them among themselves: they meet there first, and all is put back where they do not reach one another.',
}

const MOST_NAMED = 6

/** What to do about nodes that could not write it to their files, for the reason given. */
export function lostSettings(addresses: readonly string[], reason: string, {nodes}: Announcement): string {
  const [first] = addresses
  const own = nodes.find(({address}) => address === first)?.settings ?? []
  const words = own.map(({name, value}) => `--${name} ${value}`).join(' ')
  const more = addresses.length > MOST_NAMED ? ` and ${addresses.length - MOST_NAMED} more` : ''
  const names = `${addresses.slice(0, MOST_NAMED).join(', ')}${more}`
  return `The announced addresses last until the restart of ${names}: ${reason}. Start the servers with them, ${first} with ${words}; or run this command again after a restart, with --if-missing.`
}
