/**
 * What does one attach to a ticket? A page that needs nothing but itself: no script, no font, no picture from elsewhere, and
 * nothing that a server says is anything but text. It is well-formed XML as well, so that any tool can read it.
 */

import type {Finding} from '../findings/finding.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type Topology} from '../topology/model.ts'
import {keysOf, labelId, replicaLagBytes, zoneOf} from '../topology/queries.ts'
import type {SlotHeat} from '../topology/slot-heat.ts'
import {formatBytes, formatCount, formatMoment, formatShort, plural} from './amounts.ts'
import {describeHeat, formatLoad, formatShare, hottestSlots, loadByOwner} from './heat-scale.ts'
import {renderMapSvg} from './map-svg.ts'
import {escapeMarkup} from './markup.ts'
import {describeLag, listedNodes, nodeState, renderHeadline, renderRanges} from './topology.ts'

export interface ReportFacts {
  readonly topology: Topology
  readonly findings: readonly Finding[]
  readonly heat: SlotHeat | undefined
  readonly madeAt: Date
  /** "rcluster 1.2.3" */
  readonly madeBy: string
  readonly seed: string
}

const HOTTEST = 20
const MOST_OWNERS = 50

// Nothing may be loaded and nothing may run, whoever edits the page.
const POLICY = "default-src 'none'; style-src 'unsafe-inline'"

const STYLE = `
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --line: #d0d7de; --paper: #ffffff; --bad: #b00020; --poor: #8a5a00; --good: #1a7f37 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9198a1; --line: #3d444d; --paper: #0d1117; --bad: #ff8a80; --poor: #e3b341; --good: #3fb950 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1160px; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.6rem; margin-bottom: 0 } h2 { font-size: 1.2rem; margin-top: 2.2rem }
.faint { color: var(--faint) } .bad { color: var(--bad); font-weight: 600 } .poor { color: var(--poor); font-weight: 600 } .good { color: var(--good) }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--faint); font-weight: 600; white-space: nowrap } td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
td.id, code { font-family: ui-monospace, monospace; font-size: .9em } tr.replica td:first-child { padding-left: 1.6rem } td.name { min-width: 9rem } td.fix, td.id { white-space: nowrap } td.some { min-width: 6rem }
ul.findings { list-style: none; padding: 0 } ul.findings li { border-left: 4px solid var(--line); padding: .2rem .8rem; margin: .6rem 0 } ul.findings li.error { border-color: var(--bad) } ul.findings li.warning { border-color: var(--poor) }
figure { margin: 1rem 0 } figure svg { width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px }
@media print { body { max-width: none; margin: 0 } h2 { break-after: avoid } figure, tr, li { break-inside: avoid } }`

export function renderReport(facts: ReportFacts): string {
  const {topology, findings, heat, madeAt, madeBy, seed} = facts
  const title = `Cluster at ${seed}`
  const when = formatMoment(madeAt)
  const map = renderMapSvg(topology, undefined, {
    title: 'Slots by primary',
    subtitle: `${title}, ${when}`,
    prefix: 'map',
  })
  return [
    '<!DOCTYPE html>',
    '<html lang="en" xmlns="http://www.w3.org/1999/xhtml">',
    '<head>',
    '<meta charset="utf-8" />',
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}" />`,
    '<meta name="viewport" content="width=device-width, initial-scale=1" />',
    `<meta name="generator" content="${escapeMarkup(madeBy)}" />`,
    `<title>${escapeMarkup(title)}, ${when}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    `<h1>${escapeMarkup(title)}</h1>`,
    `<p class="faint">As seen on ${when} by ${escapeMarkup(madeBy)}</p>`,
    `<p>${escapeMarkup(renderHeadline(topology))}</p>`,
    `<p>${verdict(findings)}</p>`,
    ...(findings.length > 0 ? ['<h2>Findings</h2>', ...findingList(findings)] : []),
    '<h2>Shards</h2>',
    ...nodeTable(topology),
    '<h2>Slots</h2>',
    `<figure>${map}</figure>`,
    ...(heat ? heatSection(heat, topology, `${title}, ${when}`) : []),
    '</body>',
    '</html>',
    '',
  ].join('\n')
}

function verdict(findings: readonly Finding[]): string {
  const count = (severity: Finding['severity']): number => findings.filter((one) => one.severity === severity).length
  const [errors, warnings] = [count('error'), count('warning')]
  if (errors > 0) {
    return `<span class="bad">Not healthy: ${plural(errors, 'error')}${warnings > 0 ? `, ${plural(warnings, 'warning')}` : ''}.</span>`
  }
  return warnings > 0
    ? `<span class="poor">Healthy, with ${plural(warnings, 'warning')}.</span>`
    : '<span class="good">Healthy.</span>'
}

function findingList(findings: readonly Finding[]): string[] {
  const items = findings.map(({severity, id, message, suggestions}) => {
    const label = `<span class="${severity === 'error' ? 'bad' : 'poor'}">${severity}</span>`
    const next = suggestions.map((text) => `<br /><span class="faint">→</span> ${escapeMarkup(text)}`).join('')
    return `<li class="${severity}">${label} ${escapeMarkup(message)} <code class="faint">${escapeMarkup(id)}</code>${next}</li>`
  })
  return ['<ul class="findings">', ...items, '</ul>']
}

interface Cell {
  readonly title: string
  /** How it is set: a number, an ID, a name that may be long, a word that is not broken, some words. */
  readonly kind?: 'n' | 'id' | 'name' | 'fix' | 'some'
  readonly text: (node: ClusterNode) => string
  readonly isMarkup?: boolean
}

function nodeTable(topology: Topology): string[] {
  const infoOf = ({reach}: ClusterNode) => (reach.kind === 'reached' ? reach.view.serverInfo : undefined)
  const has = (fact: (node: ClusterNode) => unknown): boolean => topology.nodes.some((node) => Boolean(fact(node)))
  const amount = (value: number | undefined, format: (value: number) => string): string =>
    value === undefined ? '?' : format(value)
  const cells: readonly (Cell | false)[] = [
    {title: 'Node', kind: 'name', text: ({address}) => formatAddress(address)},
    has(({hostname}) => hostname) && {title: 'Hostname', kind: 'name', text: ({hostname}) => hostname ?? ''},
    {title: 'ID', kind: 'id', text: ({id}) => id.slice(0, 8)},
    {title: 'Role', kind: 'fix', text: ({role}) => role},
    has(zoneOf) && {
      title: 'Zone',
      kind: 'some',
      text: (node) => zoneOf(node) ?? '',
    },
    {title: 'Slots', kind: 'n', text: ({role, ranges}) => (role === 'primary' ? String(countSlots(ranges)) : '')},
    {title: 'Ranges', kind: 'some', text: ({ranges}) => renderRanges(ranges, 48)},
    {title: 'Keys', kind: 'n', text: (node) => amount(keysOf(node), formatCount)},
    {title: 'Memory', kind: 'n', text: (node) => amount(infoOf(node)?.usedMemoryBytes, formatBytes)},
    {title: 'Ops/s', kind: 'n', text: (node) => amount(infoOf(node)?.opsPerSecond, formatShort)},
    has(({role}) => role === 'replica') && {title: 'Lag', kind: 'n', text: (node) => lagOf(node, topology)},
    {
      title: 'Server',
      kind: 'some',
      text: (node) => `${infoOf(node)?.flavour ?? ''} ${infoOf(node)?.version ?? ''}`.trim(),
    },
    {
      title: 'State',
      kind: 'some',
      isMarkup: true,
      text: (node) => {
        const {text, level} = nodeState(node, topology)
        const why = node.reach.kind === 'unreachable' ? `<br />${escapeMarkup(node.reach.message)}` : ''
        return `<span class="${level}">${escapeMarkup(text)}</span>${why}`
      },
    },
  ]
  const columns = cells.filter((cell) => cell !== false)
  const rows = listedNodes(topology).map((node) => {
    const inner = columns.map(({kind, text, isMarkup}) =>
      cellOf('td', kind, isMarkup ? text(node) : escapeMarkup(text(node))),
    )
    return `<tr class="${node.role}">${inner.join('')}</tr>`
  })
  return tableOf(
    columns.map(({title, kind}) => cellOf('th', kind, title)),
    rows,
  )
}

function lagOf(node: ClusterNode, topology: Topology): string {
  if (node.role === 'primary') return ''
  return replicaLagBytes(node, topology) === undefined ? '?' : describeLag(node, topology) || '0 B'
}

function heatSection(heat: SlotHeat, topology: Topology, subtitle: string): string[] {
  const owners = loadByOwner(heat, topology)
  const gaps = heat.gaps.map(({node, slots, message}) => {
    const who = node === undefined ? '' : `${labelId(topology, node)}: `
    return `<li class="error">${escapeMarkup(`${who}${plural(countSlots(slots), 'slot')} not known (${renderRanges(slots, 60)}): ${message}`)}</li>`
  })
  return [
    '<h2>Load</h2>',
    `<figure>${renderMapSvg(topology, heat, {title: describeHeat(heat), subtitle, prefix: 'heat'})}</figure>`,
    ...(gaps.length > 0 ? ['<ul class="findings">', ...gaps, '</ul>'] : []),
    '<h2>Hottest slots</h2>',
    ...tableOf(
      [
        cellOf('th', 'n', 'Slot'),
        cellOf('th', undefined, 'Owner'),
        cellOf('th', 'n', 'Load'),
        cellOf('th', 'n', 'Share'),
      ],
      hottestSlots(heat, topology, HOTTEST).map(
        ({slot, owner, load, share}) =>
          `<tr>${cellOf('td', 'n', String(slot))}${cellOf('td', 'name', owner === undefined ? '' : escapeMarkup(labelId(topology, owner)))}${cellOf('td', 'n', formatLoad(heat.kind, load))}${cellOf('td', 'n', formatShare(share))}</tr>`,
      ),
    ),
    '<h2>Load by primary</h2>',
    ...tableOf(
      [cellOf('th', undefined, 'Primary'), cellOf('th', 'n', 'Load'), cellOf('th', 'n', 'Share')],
      owners
        .slice(0, MOST_OWNERS)
        .map(
          ({id, load, share}) =>
            `<tr>${cellOf('td', 'name', escapeMarkup(labelId(topology, id)))}${cellOf('td', 'n', formatLoad(heat.kind, load))}${cellOf('td', 'n', formatShare(share))}</tr>`,
        ),
    ),
    ...(owners.length > MOST_OWNERS
      ? [`<p class="faint">and ${plural(owners.length - MOST_OWNERS, 'primary')} with less</p>`]
      : []),
  ]
}

function tableOf(heads: readonly string[], rows: readonly string[]): string[] {
  return [
    '<div class="wide"><table>',
    `<thead><tr>${heads.join('')}</tr></thead>`,
    '<tbody>',
    ...rows,
    '</tbody>',
    '</table></div>',
  ]
}

/** `inner` is markup. */
function cellOf(tag: 'td' | 'th', kind: string | undefined, inner: string): string {
  return `<${tag}${kind === undefined ? '' : ` class="${kind}"`}>${inner}</${tag}>`
}
