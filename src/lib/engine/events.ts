/** What does the engine tell while it works? Listeners draw progress from it; nothing depends on being heard. */
import type {NodeId} from '../topology/model.ts'

export type EngineEvent =
  /** A new stage, as a short sentence without a full stop: "Waiting for all nodes to agree". */
  | {readonly kind: 'phase'; readonly text: string}
  /** Moving begins; `keys` is what the sources counted in the slots, undefined until counted. */
  | {readonly kind: 'moves-started'; readonly slots: number; readonly keys: number | undefined}
  /**
   * Keys are at their target: by a MIGRATE, with which the source was busy for `pauseMs` as far as we can see from here;
   * or by the servers themselves, where writes to them were held up for that long. undefined: nobody tells.
   */
  | {
      readonly kind: 'keys-moved'
      /** undefined for those of several slots. */
      readonly slot?: number
      readonly keys: number
      readonly bytes: number
      readonly pauseMs: number | undefined
      readonly from: NodeId
      readonly to: NodeId
    }
  /** These slots have their new owner. */
  | {readonly kind: 'slots-moved'; readonly slots: readonly number[]; readonly from: NodeId; readonly to: NodeId}
  /** Keys are about to be brought in from outside; undefined: nobody knows how many. */
  | {readonly kind: 'load-started'; readonly keys: number | undefined}
  /** It is settled what became of these keys; `bytes` is what was sent of them. */
  | {readonly kind: 'keys-loaded'; readonly keys: number; readonly bytes: number}
  /** Something went wrong that will be tried again after another look. */
  | {readonly kind: 'retry'; readonly slots: readonly number[]; readonly attempt: number; readonly reason: string}
  /** Worth a line for the operator, not a failure. */
  | {readonly kind: 'note'; readonly text: string}

export type EngineListener = (event: EngineEvent) => void
