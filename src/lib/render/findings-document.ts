/** What does `--json` say of a finding? Its own facts, with slots as "0-5460,5462". */
import type {Dispute} from '../findings/dispute.ts'
import type {Finding} from '../findings/finding.ts'
import {fingerprintOf} from '../findings/fingerprint.ts'
import {RULE_BOOK} from '../findings/rule-book.ts'
import {formatRanges} from '../slots/slot-ranges.ts'

export interface FindingDocument {
  readonly id: Finding['id']
  readonly severity: Finding['severity']
  /** Of the rule. */
  readonly title: string
  readonly message: string
  readonly nodes: readonly string[]
  readonly slots: string
  /** Who says or has what, a line each; empty where the message tells it all. */
  readonly evidence: readonly string[]
  readonly suggestions: readonly string[]
  /** The same whenever this is found again, whatever its numbers are by then. */
  readonly fingerprint: string
  /** What this kind of finding has beyond that. */
  readonly details: Readonly<Record<string, unknown>>
}

export function findingDocument(finding: Finding): FindingDocument {
  const {id, severity, message, nodes, slots, evidence = [], suggestions, ...more} = finding
  const details: Record<string, unknown> = {...more}
  if (finding.id === 'disagreement') {
    const {ranges, opinions} = finding.disagreement
    details['disagreement'] = {slots: formatRanges(ranges), opinions}
    details['dispute'] = disputeDocument(finding.dispute)
  }
  return {
    id,
    severity,
    title: RULE_BOOK[id].title,
    message,
    nodes,
    slots: formatRanges(slots),
    evidence,
    suggestions,
    fingerprint: fingerprintOf(finding),
    details,
  }
}

function disputeDocument({ranges, claims, ...facts}: Dispute): Record<string, unknown> {
  const told = claims.map(({owner = null, configEpoch = null, ...claim}) => ({owner, configEpoch, ...claim}))
  return {...facts, winner: facts.winner ?? null, slots: formatRanges(ranges), claims: told}
}
