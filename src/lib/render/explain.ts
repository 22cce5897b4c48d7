/** What is so about one slot, or one node? A few labelled lines, then what is wrong with it and what would help. */
import type {Finding} from '../findings/finding.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {keysOf, labelId, labelNode, slotsOf, zoneOf} from '../topology/queries.ts'
import type {NodeOpinion, OwnerOpinion} from '../topology/views-about.ts'
import {formatBytes, formatCount, formatShort, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import type {NodeExplanation, SlotExplanation} from './explanation.ts'
import {renderFinding} from './findings.ts'
import {quoteKey} from './key-name.ts'
import {nodeState, renderRanges} from './topology.ts'
import {wrap} from './wrap.ts'

const LABEL_WIDTH = 13
/** Of a thousand nodes a few are named, and the others counted. */
const MOST_NAMED = 4
const MOST_LINES = 8

export function renderSlotExplanation(facts: SlotExplanation, topology: Topology, style: Style): string {
  const {slot, key, hashTag, owner, replicas, counts, strays, staleMarks, suggestions} = facts
  const tag = hashTag === undefined ? '' : `, by its hash tag ${quoteKey(Buffer.from(hashTag))}`
  const lines = [
    line(
      'Slot',
      [style.chalk.bold(String(slot)) + (key === undefined ? '' : ` of key ${quoteKey(Buffer.from(key))}${tag}`)],
      style,
    ),
    line('Owner', [ownerText(owner, topology)], style),
    line('Replicas', owner ? [listStates(replicas, topology) || 'none'] : [], style),
    line('Views', viewTexts(facts, topology), style),
    line('Marks', markTexts(facts, topology), style),
    line('Keys', keyTexts(facts, topology), style),
    line(
      'Not counted',
      atMost(
        counts.flatMap(({node, problem}) => (problem === undefined ? [] : [`${labelId(topology, node)}: ${problem}`])),
      ),
      style,
    ),
    line(
      'Strays',
      atMost(
        strays.map(
          ({node, keys = 0}) =>
            `${plural(keys, 'key')} on ${labelId(topology, node)}, which does not own the slot: clients do not see them`,
        ),
      ),
      style,
    ),
    line(
      'Stale',
      atMost(
        staleMarks.map(
          ({replica}) => `${labelId(topology, replica)}, a replica, has a mark of a move that its primary has ended`,
        ),
      ),
      style,
    ),
  ]
  return [...lines.flat(), ...renderHelp(facts.findings, suggestions, topology, style)].join('\n')
}

function ownerText(owner: ClusterNode | undefined, topology: Topology): string {
  if (!owner) return 'nobody: keys of it are refused'
  const slots = plural(countSlots(slotsOf(topology, owner.id)), 'slot')
  const state = owner.reach.kind === 'unreachable' ? `, cannot be reached: ${owner.reach.message}` : ''
  return `${labelNode(owner)}, ${owner.role} of ${slots} at epoch ${owner.configEpoch}${state}`
}

function viewTexts({opinions}: SlotExplanation, topology: Topology): string[] {
  const asked = opinions.reduce((sum, {saidBy}) => sum + saidBy.length, 0)
  const [only] = opinions
  if (opinions.length === 1 && only) {
    const who = asked === 1 ? 'the one node that answered says' : `all ${asked} nodes that answered say`
    return [`${who} ${claimText(only, topology)}`]
  }
  return atMost(
    opinions.map((opinion) => {
      const {saidBy} = opinion
      return `${listIds(saidBy, topology)} ${saidBy.length === 1 ? 'says' : 'say'} ${claimText(opinion, topology)}`
    }),
  )
}

function claimText({owner, configEpochs}: OwnerOpinion, topology: Topology): string {
  if (owner === undefined) return 'nobody'
  const epochs = configEpochs.length > 1 ? `epochs ${configEpochs.join(', ')}` : `epoch ${configEpochs[0] ?? 0}`
  return `${labelId(topology, owner)} at ${epochs}`
}

function markTexts({marks}: SlotExplanation, topology: Topology): string[] {
  if (!marks) return ['none: it is not on the move']
  return [
    ...marks.migrating.map(({node, to}) => `migrating on ${labelId(topology, node)} to ${labelId(topology, to)}`),
    ...marks.importing.map(({node, from}) => `importing on ${labelId(topology, node)} from ${labelId(topology, from)}`),
  ]
}

function keyTexts({counts, owner, replicas, marks}: SlotExplanation, topology: Topology): string[] {
  const isReplica = new Set(replicas.map(({id}) => id))
  const ends = new Set([...(marks?.migrating ?? []), ...(marks?.importing ?? [])].map(({node}) => node))
  const told = counts.filter(
    ({node, keys}) => keys !== undefined && (node === owner?.id || isReplica.has(node) || ends.has(node)),
  )
  const rank = (id: NodeId): number => (id === owner?.id ? 0 : ends.has(id) ? 1 : 2)
  const texts = [...told]
    .sort((a, b) => rank(a.node) - rank(b.node))
    .map(({node, keys = 0}) => {
      const part = node === owner?.id ? 'the owner' : ends.has(node) ? 'the other end of the move' : 'a replica'
      return `${formatCount(keys)} on ${labelId(topology, node)}, ${part}`
    })
  return atMost(texts)
}

export function renderNodeExplanation(facts: NodeExplanation, topology: Topology, style: Style): string {
  const {node, slots, primary, replicas, neighbours, sameHost} = facts
  const info = node.reach.kind === 'reached' ? node.reach.view.serverInfo : undefined
  const state = nodeState(node, topology)
  const paint = {good: style.chalk.green, poor: style.chalk.yellow, bad: style.chalk.red}[state.level]
  const why = node.reach.kind === 'unreachable' ? `: ${clean(node.reach.message)}` : ''
  const server = info && info.version !== '' ? `${info.flavour} ${info.version}` : ''
  const load = [
    keysOf(node) === undefined ? '' : plural(keysOf(node) ?? 0, 'key'),
    info?.usedMemoryBytes === undefined ? '' : formatBytes(info.usedMemoryBytes),
    info?.opsPerSecond === undefined ? '' : `${formatShort(info.opsPerSecond)} ops/s`,
  ]
  const zone = zoneOf(node)
  const places = [
    isSame(node) ? '' : `announces ${formatAddress(node.announced)}`,
    node.hostname ? `hostname ${node.hostname}` : '',
    zone ? `zone ${zone}` : '',
  ]
  const lines = [
    line(
      'Node',
      [`${style.chalk.bold(clean(formatAddress(node.address)))}, ${node.role} at epoch ${node.configEpoch}`],
      style,
      true,
    ),
    line('ID', [node.id], style),
    line('State', [paint(clean(state.text)) + why], style, true),
    line('Server', [join([server, ...places])], style),
    line('Slots', slots.length > 0 ? [slotsText(facts, style)] : node.role === 'primary' ? ['none'] : [], style),
    line('Load', [join(load)], style),
    line('Primary', primary ? [`${labelNode(primary)}, ${nodeState(primary, topology).text}`] : [], style),
    line(node.role === 'replica' ? 'Siblings' : 'Replicas', [listStates(replicas, topology) || 'none'], style),
    line(
      'Beside it',
      atMost(
        neighbours.map(
          ({node: one, borders}) => `${labelNode(one)} in the slot map${borders > 1 ? `, at ${borders} borders` : ''}`,
        ),
      ),
      style,
    ),
    line(
      'Same host',
      sameHost.length > 0
        ? [
            listIds(
              sameHost.map(({id}) => id),
              topology,
            ),
          ]
        : [],
      style,
    ),
    line('Views', nodeViewTexts(facts, topology), style),
  ]
  return [...lines.flat(), ...renderHelp(facts.findings, [], topology, style)].join('\n')
}

function slotsText({slots}: NodeExplanation, {columns}: Style): string {
  const head = `${countSlots(slots)} in ${plural(slots.length, 'range')}: `
  return head + renderRanges(slots, Math.max(20, columns - LABEL_WIDTH - head.length))
}

function nodeViewTexts({opinions}: NodeExplanation, topology: Topology): string[] {
  const own = opinions.find(({isOwn}) => isOwn)
  const others = opinions.filter(({isOwn}) => !isOwn)
  return atMost(
    opinions.map((opinion) => {
      const {isOwn, saidBy} = opinion
      const isSole = others.length === 1 && saidBy.length > 1
      const who = isOwn ? 'itself' : isSole ? `all ${saidBy.length} others that answered` : listIds(saidBy, topology)
      const isSameAsOwn = own !== undefined && !isOwn && seenText(opinion, topology) === seenText(own, topology)
      return `${who}: ${isSameAsOwn ? 'the same' : seenText(opinion, topology)}`
    }),
  )
}

function seenText({seenAs}: NodeOpinion, topology: Topology): string {
  if (!seenAs) return 'not known'
  const {role, primaryId, configEpoch, flags, isLinked, ranges, address} = seenAs
  return join([
    role === 'replica' ? `replica${primaryId === undefined ? '' : ` of ${labelId(topology, primaryId)}`}` : 'primary',
    role === 'primary' ? plural(countSlots(ranges), 'slot') : '',
    `epoch ${configEpoch}`,
    address.host === '' ? '' : `at ${formatAddress(address)}`,
    ...flags,
    isLinked ? '' : 'no link to it',
  ])
}

function renderHelp(
  findings: readonly Finding[],
  suggestions: readonly string[],
  topology: Topology,
  style: Style,
): string[] {
  const arrow = style.isUnicode ? '→' : '->'
  const blocks = [
    ...findings.slice(0, MOST_LINES).map((finding) => renderFinding(finding, topology, style)),
    ...(findings.length > MOST_LINES
      ? [`and ${plural(findings.length - MOST_LINES, 'more finding')}: rcluster check`]
      : []),
    ...suggestions.map((text) => `${arrow} ${clean(text)}`),
  ]
  return blocks.length > 0 ? ['', ...blocks] : []
}

/** `isPainted`: the texts have colours in them already, and are clean. */
function line(label: string, texts: readonly string[], style: Style, isPainted = label === 'Slot'): string[] {
  return texts
    .filter((text) => text !== '')
    .map((text, index) => {
      const head = (index === 0 ? label : '').padEnd(LABEL_WIDTH)
      return style.chalk.dim(head) + wrap(isPainted ? text : clean(text), style, LABEL_WIDTH, LABEL_WIDTH)
    })
}

function atMost(texts: readonly string[]): string[] {
  if (texts.length <= MOST_LINES) return [...texts]
  return [...texts.slice(0, MOST_LINES - 1), `and ${texts.length - MOST_LINES + 1} more`]
}

function listIds(ids: readonly NodeId[], topology: Topology): string {
  const shown = ids.slice(0, MOST_NAMED).map((id) => labelId(topology, id))
  return ids.length > MOST_NAMED ? `${shown.join(', ')} and ${ids.length - MOST_NAMED} more` : shown.join(', ')
}

function listStates(nodes: readonly ClusterNode[], topology: Topology): string {
  const shown = nodes.slice(0, MOST_NAMED).map((node) => `${labelNode(node)} ${nodeState(node, topology).text}`)
  return nodes.length > MOST_NAMED ? `${shown.join(', ')} and ${nodes.length - MOST_NAMED} more` : shown.join(', ')
}

function isSame({address, announced}: ClusterNode): boolean {
  return formatAddress(address) === formatAddress(announced)
}

function join(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(', ')
}
