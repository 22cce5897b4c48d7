/** What is done to which node, one act after the other? */
import type {MemberAct} from '../plan/acts.ts'
import type {PlacedMember, PlacementPlan} from '../plan/even-replicas.ts'
import type {ReplacePlan} from '../plan/replace.ts'
import {countSlots, parseRanges} from '../slots/slot-ranges.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderWarning} from './error.ts'
import {renderTable} from './table.ts'
import {wrap} from './wrap.ts'

export function renderReplacePlan(plan: ReplacePlan, style: Style): string {
  const {old, replacement, acts, slots, warnings} = plan
  const silent = old.isReachable ? '' : ', which does not answer'
  const what = slots === '' ? old.role : `primary of ${plural(countSlots(parseRanges(slots)), 'slot')}`
  const head = `${clean(replacement.address)} takes the place of ${clean(old.address)}, ${what}${silent}.`
  return [
    style.chalk.bold(wrap(head, style, 0, 0)),
    ...(acts.length > 0 ? ['', renderActs(acts, style)] : []),
    ...warnings.map((text) => renderWarning(text, style)),
  ].join('\n')
}

/** The shards as they will be, then what leads there. */
export function renderPlacementPlan({shards, acts, warnings}: PlacementPlan, style: Style): string {
  const nameOf = ({address, zone}: PlacedMember): string =>
    clean(zone === undefined ? address : `${address} in ${zone}`)
  const isNew = new Set(acts.flatMap((act) => (act.kind === 'replicate' ? [act.node.id] : [])))
  const paint = (member: PlacedMember): string =>
    isNew.has(member.id) ? style.chalk.green(nameOf(member)) : nameOf(member)
  const table = renderTable(
    [{title: 'Primary'}, {title: 'Replicas'}],
    shards.map(({primary, replicas, primaryBefore}) => [
      primary.id === primaryBefore ? nameOf(primary) : style.chalk.green(nameOf(primary)),
      replicas.map(paint).join(', '),
    ]),
    style,
  )
  return [
    table,
    ...(acts.length > 0 ? ['', renderActs(acts, style)] : []),
    ...warnings.map((text) => renderWarning(text, style)),
  ].join('\n')
}

/** Numbered, one a line. */
export function renderActs(acts: readonly MemberAct[], style: Style): string {
  const digits = String(acts.length).length
  return acts
    .map((act, index) => {
      const number = String(index + 1).padStart(digits)
      return `${style.chalk.dim(number)}  ${wrap(clean(describeAct(act)), style, digits + 2, digits + 2)}`
    })
    .join('\n')
}

export function describeAct(act: MemberAct): string {
  switch (act.kind) {
    case 'join':
      return `${act.node.address} joins the cluster`
    case 'replicate':
      return `${act.node.address} follows ${act.primary.address} and gets its keys`
    case 'fail-over':
      return `${act.replica.address} takes over from ${act.primary.address}, without losing a write`
    case 'remove':
      return `${act.node.address} is forgotten by all, and reset`
  }
}
