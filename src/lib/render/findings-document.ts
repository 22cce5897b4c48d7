/** What does `--json` say of a finding? Its own facts, with slots as "0-5460,5462". */
import type {Finding} from '../findings/finding.ts'
import {formatRanges} from '../slots/slot-ranges.ts'

export interface FindingDocument {
  readonly id: Finding['id']
  readonly severity: Finding['severity']
  readonly message: string
  readonly nodes: readonly string[]
  readonly slots: string
  readonly suggestions: readonly string[]
  /** What this kind of finding has beyond that. */
  readonly details: Readonly<Record<string, unknown>>
}

export function findingDocument(finding: Finding): FindingDocument {
  const {id, severity, message, nodes, slots, suggestions, ...more} = finding
  const details: Record<string, unknown> = {...more}
  if (finding.id === 'disagreement') {
    const {ranges, opinions} = finding.disagreement
    details['disagreement'] = {slots: formatRanges(ranges), opinions}
  }
  return {id, severity, message, nodes, slots: formatRanges(slots), suggestions, details}
}
