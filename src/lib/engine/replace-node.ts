/** How does a node take another's place? Plan, do the first act of what is left, look again. Safe to run again at any point. */
import {InternalError} from '../errors.ts'
import type {MemberAct} from '../plan/acts.ts'
import {planReplacement, type ReplaceOptions} from '../plan/replace.ts'
import type {NodeId, ServerInfo} from '../topology/model.ts'
import {carryOut} from './carry-out.ts'
import type {NodePort} from './cluster-port.ts'
import type {RemovalOutcome} from './remove-nodes.ts'
import type {ClusterSession} from './session.ts'
import {type StageOptions, tellingHowFar} from './stages.ts'

export interface Replacement {
  readonly oldId: NodeId
  /** Its ID changes when it joins, where it has been a member of a cluster before. */
  readonly newcomer: NodePort
  readonly serverInfo?: ServerInfo
  readonly keepsOld: boolean
}

export interface ReplaceOutcome {
  /** What this run did, in order. */
  readonly done: readonly MemberAct[]
  readonly removal: RemovalOutcome | undefined
}

/** Each replica of the old node may have to be told its new primary. */
const MOST_ACTS = 1000

export function replaceOptions({oldId, newcomer, serverInfo, keepsOld}: Replacement): ReplaceOptions {
  const {id, address} = newcomer
  return {oldId, replacement: {id, address, ...(serverInfo ? {serverInfo} : {})}, keepsOld}
}

/** @throws InterruptedError or CancelledError behind the first act, whatever went wrong: the same command goes on. */
export async function replaceNode(
  session: ClusterSession,
  replacement: Replacement,
  options: Omit<StageOptions, 'deadlineMs'> & {readonly again: string},
): Promise<ReplaceOutcome> {
  const done: MemberAct[] = []
  let removal: RemovalOutcome | undefined
  const {again, ...rest} = options
  const acting = {
    ...rest,
    newcomer: replacement.newcomer,
    leavingId: replacement.keepsOld ? undefined : replacement.oldId,
  }
  while (done.length < MOST_ACTS) {
    const next = await telling(
      done,
      again,
      async () => planReplacement(session.topology, replaceOptions(replacement)).acts[0],
    )
    if (!next) return {done, removal}
    options.signal?.throwIfAborted()
    removal = await telling([...done, next], again, () => carryOut(session, next, acting))
    done.push(next)
    if (next.kind === 'remove') return {done, removal}
    await session.refresh()
  }
  throw new InternalError('the replacement of a node does not come to an end')
}

/** Before anything was begun, whatever went wrong is told as it is. */
function telling<T>(begun: readonly MemberAct[], again: string, work: () => Promise<T>): Promise<T> {
  const count = `${begun.length} ${begun.length === 1 ? 'step was' : 'steps were'} begun`
  return begun.length === 0 ? work() : tellingHowFar(`${count}, and what is done holds`, again, work)
}
