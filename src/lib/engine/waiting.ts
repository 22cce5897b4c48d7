/** How does the engine wait? Always for a condition, always with an end, never by a bare sleep. */

/** Resolves after `ms`, or at once when `signal` aborts (it does not reject). */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, {once: true})
  })
}

export interface PollOptions {
  readonly deadlineMs: number
  /** Grows by half after each try, up to `maxIntervalMs` (default 500). */
  readonly firstIntervalMs?: number
  readonly maxIntervalMs?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Calls `attempt` until it returns something other than undefined.
 * Returns undefined when the deadline passes or `signal` aborts first; there is at least one attempt.
 */
export async function pollUntil<T>(
  attempt: () => Promise<T | undefined>,
  options: PollOptions,
): Promise<T | undefined> {
  const endsAt = performance.now() + options.deadlineMs
  let intervalMs = options.firstIntervalMs ?? 20
  for (;;) {
    const result = await attempt()
    if (result !== undefined) return result
    const leftMs = endsAt - performance.now()
    if (leftMs <= 0 || options.signal?.aborted) return undefined
    await pause(Math.min(intervalMs, leftMs), options.signal)
    intervalMs = Math.min(intervalMs * 1.5, options.maxIntervalMs ?? 500)
  }
}

/**
 * Runs `work` over `items`, at most `limit` at once; results keep the order of `items`. After a failure nothing more is
 * begun, and the first one rejects when all that was under way has ended: nothing goes on behind the caller's back while
 * it puts things right.
 */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const index = next++
      try {
        results[index] = await work(items[index] as T, index)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({length: Math.min(limit, items.length)}, worker))
  if (failures.length > 0) throw failures[0]
  return results
}

/** As `mapBounded`, for items that come one after another; no more of them is asked for than can be worked on. */
export async function forEachBounded<T>(
  items: AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<unknown>>()
  const failures: unknown[] = []
  try {
    for await (const item of items) {
      const one: Promise<unknown> = work(item)
        .catch((error: unknown) => failures.push(error))
        .finally(() => running.delete(one))
      running.add(one)
      if (running.size >= limit) await Promise.race(running)
      if (failures.length > 0) break
    }
  } finally {
    await Promise.all(running)
  }
  if (failures.length > 0) throw failures[0]
}

/** The result of `work`, or the signal's reason as soon as it aborts; `work` is left to end by itself then. */
export async function orAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, {once: true})
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort)
  }
}
