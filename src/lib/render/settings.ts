/** How do settings look that differ, or are to be others? */
import type {Difference} from '../findings/differences.ts'
import type {NodeGroup} from '../findings/group-nodes.ts'
import {type ClusterNode, formatAddress} from '../topology/model.ts'
import {isSecretSetting} from '../topology/settings.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderTable} from './table.ts'

/** A row for each value. */
export function renderSettingDifferences(differences: readonly Difference[], style: Style): string {
  const rows = differences.flatMap(({name, groups}) =>
    groups.map((group, index) => [index === 0 ? clean(name) : '', shownValue(name, group), nodesInCell(group.nodes)]),
  )
  return renderTable([{title: 'Setting'}, {title: 'Value'}, {title: 'Nodes'}], rows, style)
}

/** Of a secret one only that it is another. */
function shownValue(name: string, {value}: NodeGroup): string {
  if (value === '') return '(empty)'
  return isSecretSetting(name) ? '(secret, differs)' : short(value)
}

export interface ShownChange {
  readonly name: string
  readonly isSecret: boolean
  readonly before: string
  readonly value: string
  readonly node: ClusterNode
}

/** Nodes with the same before and after share a row. */
export function renderSettingChanges(changes: readonly ShownChange[], all: number, style: Style): string {
  const rows = new Map<string, {cells: string[]; nodes: ClusterNode[]}>()
  for (const {name, isSecret, before, value, node} of changes) {
    const show = (text: string): string => (text === '' ? '(empty)' : isSecret ? '(secret)' : short(text))
    const cells = [clean(name), show(before), show(value)]
    const key = JSON.stringify(cells)
    const row = rows.get(key) ?? {cells, nodes: []}
    row.nodes.push(node)
    rows.set(key, row)
  }
  return renderTable(
    [{title: 'Setting'}, {title: 'Before'}, {title: 'After'}, {title: 'Nodes'}],
    [...rows.values()].map(({cells, nodes}) => [...cells, nodes.length === all ? allOf(all) : nodesInCell(nodes)]),
    style,
  )
}

function allOf(count: number): string {
  return count === 1 ? 'the one' : `all ${count}`
}

/** A few by their addresses. */
export function whichNodes(nodes: readonly ClusterNode[], between = ', '): string {
  if (nodes.length > 3) return plural(nodes.length, 'node')
  return nodes.map(({address}) => formatAddress(address)).join(between)
}

/** In a cell of a table, below one another. */
export function nodesInCell(nodes: readonly ClusterNode[]): string {
  return whichNodes(nodes, '\n')
}

const LONGEST = 60

function short(text: string): string {
  const shown = clean(text)
  return shown.length > LONGEST ? `${shown.slice(0, LONGEST - 1)}…` : shown
}
