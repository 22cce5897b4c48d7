/** How do function libraries look, and what is to be copied? */
import type {NodeGroup} from '../findings/group-nodes.ts'
import type {LibraryCopy} from '../plan/function-sync.ts'
import type {ClusterNode, Topology} from '../topology/model.ts'
import {labelId} from '../topology/queries.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {nodesInCell} from './settings.ts'
import {renderTable} from './table.ts'

export interface ListedLibrary {
  readonly name: string
  /** By code. */
  readonly groups: readonly NodeGroup[]
  readonly missing: readonly ClusterNode[]
}

const SHOWN_DIGITS = 12

export function renderLibraries(libraries: readonly ListedLibrary[], count: number, style: Style): string {
  const rows = libraries.flatMap(({name, groups, missing}) => [
    ...groups.map(({value, nodes}, index) => [
      index === 0 ? clean(name) : '',
      value.slice(0, SHOWN_DIGITS),
      nodes.length === count ? `all ${plural(count, 'node')}` : nodesInCell(nodes),
    ]),
    ...(missing.length > 0 ? [['', 'missing', nodesInCell(missing)]] : []),
  ])
  return renderTable([{title: 'Library'}, {title: 'SHA-256'}, {title: 'Nodes'}], rows, style)
}

export function renderCopies(copies: readonly LibraryCopy[], topology: Topology, style: Style): string {
  const rows = copies.map(({library, from, to, isReplacing}) => [
    clean(library),
    labelId(topology, from),
    labelId(topology, to),
    isReplacing ? 'overwrites other code' : 'is missing there',
  ])
  return renderTable([{title: 'Library'}, {title: 'From'}, {title: 'To'}, {title: ''}], rows, style)
}
