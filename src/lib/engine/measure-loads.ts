/**
 * What does each slot bear, and what would moving it take? Reads only: what the servers tell, else counts and estimates, as
 * engine/measure-heat has them.
 */
import {NodeError} from '../errors.ts'
import {seedAddress} from '../topology/queries.ts'
import {type HeatKind, type LoadKind, plainLoads, type SlotHeat, type SlotLoads} from '../topology/slot-heat.ts'
import {measureHeat} from './measure-heat.ts'
import type {ClusterSession} from './session.ts'

export interface LoadsOptions {
  /** cpu and network: what comes in this time. */
  readonly overMs: number
  /** Without bytes it is all in vain. */
  readonly needsBytes: boolean
  readonly signal?: AbortSignal | undefined
}

/** Counting and sampling a large cluster is worth that before some of its data move. */
const BUDGET_MS = 60_000
/** Slots whose keys have one hash tag may hold many of very different sizes: five would tell little of them. */
const SAMPLED_KEYS = 128

/** @throws RefusedError 'not-measured' when a node does not measure what was asked for. */
export async function measureLoads(
  session: ClusterSession,
  by: LoadKind,
  {overMs, needsBytes, signal}: LoadsOptions,
): Promise<SlotLoads> {
  const {topology} = session
  const measure = (kind: HeatKind): Promise<SlotHeat> =>
    measureHeat(session, kind, {
      overMs,
      signal,
      budgetMs: BUDGET_MS,
      sampledKeys: SAMPLED_KEYS,
      isForAll: true,
      instead: `rcluster rebalance ${seedAddress(topology)} --by keys needs no setting`,
    })
  const main = by === 'slots' ? undefined : await measure(by)
  const keys = by === 'keys' ? main : await measure('keys')
  const bytes = by === 'memory' ? main : await orNothing(measure('memory'), needsBytes)
  const common = {keys: keys?.values, bytes: bytes?.values}
  if (!main) return {...plainLoads(topology), ...common}
  const {values, sources, gaps} = main
  return {by, values, sources: [...sources], overMs: main.overMs, gaps, ...common}
}

/** Sizes are told to those who may ask for them; without them the plan says less, and is the same. */
async function orNothing(heat: Promise<SlotHeat>, isNeeded: boolean): Promise<SlotHeat | undefined> {
  try {
    return await heat
  } catch (error) {
    if (!isNeeded && error instanceof NodeError && error.failure === 'permission') return undefined
    throw error
  }
}
