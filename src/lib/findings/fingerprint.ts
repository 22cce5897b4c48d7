/** Is this a finding that was there before? Equal fingerprints, whatever its numbers and words are by now. Pure. */
import {createHash} from 'node:crypto'
import {formatRanges} from '../slots/slot-ranges.ts'
import type {Finding} from './finding.ts'
import {RULE_BOOK} from './rule-book.ts'

/** 16 hex digits. */
export function fingerprintOf(finding: Finding): string {
  const {id, nodes, slots} = finding
  const texts = {nodes: [...nodes].sort().join(), slots: formatRanges(slots), subject: subjectOf(finding)}
  const parts = (RULE_BOOK[id].identity ?? ['nodes']).map((part) => texts[part])
  return createHash('sha256')
    .update(JSON.stringify([id, ...parts]))
    .digest('hex')
    .slice(0, 16)
}

/** What the finding is about, beside nodes and slots. */
function subjectOf(finding: Finding): string {
  switch (finding.id) {
    case 'handshake':
      return finding.address
    case 'epoch-collision':
      return String(finding.configEpoch)
    case 'mixed-versions':
      return finding.versions.join()
    case 'quorum-on-one-host':
      return finding.host
    case 'quorum-in-one-zone':
      return finding.zone
    case 'node-timeout-drift':
    case 'config-drift':
      return finding.setting
    case 'function-drift':
      return finding.library
    case 'acl-drift':
      return finding.user
    case 'module-drift':
      return finding.module
    case 'persistence-off':
      return finding.severity === 'note' ? '' : finding.nodes.join()
    default:
      return ''
  }
}
