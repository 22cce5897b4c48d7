/** What does an error reply mean? The one place that knows the servers' wording. Pure. */
import {NodeError, type NodeFailure} from '../errors.ts'

/** In this order: the first that matches. */
const FAILURES: readonly (readonly [RegExp, NodeFailure])[] = [
  [/^(NOAUTH|WRONGPASS)\b/, 'auth'],
  [/^ERR invalid (username-)?password/i, 'auth'],
  [/^NOPERM\b/, 'permission'],
  [/^DENIED\b/, 'protected'],
  [/^ERR This instance has cluster support disabled/i, 'not-cluster'],
  [/^LOADING\b/, 'loading'],
  [/^CLUSTERDOWN\b/, 'cluster-down'],
  [/^(TRYAGAIN|MASTERDOWN|BUSY)\b/, 'try-again'],
  [/^MOVED\b/, 'moved'],
  // SETSLOT: the slot is not where it was when we looked.
  [/^ERR I'm (not|already) the owner of hash slot/i, 'moved'],
  [/^ASK\b/, 'ask'],
  [/^BUSYKEY\b/, 'busy-key'],
  [/^IOERR\b/, 'io'],
  [/^(OOM\b|ERR OOM\b)/, 'out-of-memory'],
  [/^READONLY\b/, 'read-only'],
  [/^NOREPLICAS\b/, 'no-replicas'],
  [/^UNBLOCKED\b/, 'unblocked'],
  [/^CROSSSLOT\b/, 'cross-slot'],
  [/only with (masters|primaries)|Target node is not a (master|primary)/i, 'not-primary'],
  [/^ERR Unknown node\b/i, 'unknown-node'],
  [/^ERR I don't know about node\b/i, 'unknown-node'],
  [/^ERR unknown (sub)?command/i, 'unknown-command'],
  [/still hold keys/i, 'keys-left'],
]

const FROM_TARGET = /^ERR Target instance replied with error: /i
/** Servers repeat the words of a command that they do not know, and those of AUTH and MIGRATE hold the password. */
const REPEATED_WORDS = /,? with args beginning with:.*/is
/** In what ACL SETUSER says of a rule that it does not take. */
const PASSWORD_HASH = /#[0-9a-f]{64}/gi

/**
 * `text` is the reply without the leading "-". Control characters of the server's text do not survive, nor do words of
 * ours that it repeats.
 */
export function replyError(address: string, text: string): NodeError {
  const isFromTarget = FROM_TARGET.test(text)
  const inner = text.replace(FROM_TARGET, '')
  const failure = FAILURES.find(([pattern]) => pattern.test(inner))?.[1] ?? 'rejected'
  const told = text.replace(REPEATED_WORDS, '').replace(PASSWORD_HASH, '#…')
  // After its first sentence a DENIED goes on with a page of advice for who runs the server.
  const shown = failure === 'protected' ? told.replace(/\. .*/s, '') : told
  return new NodeError(failure, address, `${address} answered: ${withoutControls(shown)}`, {isFromTarget})
}

export function withoutControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim()
}

/** Turns one kind of failure into an answer. */
export function unless<T>(failure: NodeFailure, answer: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof NodeError && error.failure === failure) return answer
    throw error
  }
}
