/**
 * Which of its slots does a primary give away? Whole ranges where they fit, cut from the end where one does not, so that
 * ranges do not turn to confetti. Pure.
 */

/**
 * `count` of the ascending `slots`, ascending: whole ranges, the smallest first, so that the fewest fragments stay
 * behind, then the upper end of the first range that is too large. `count` may not exceed the slots.
 */
export function pickSlots(slots: readonly number[], count: number): number[] {
  const runs = runsOf(slots).sort((a, b) => a.length - b.length || b[0]! - a[0]!)
  const picked: number[] = []
  for (const run of runs) {
    const left = count - picked.length
    if (left <= 0) break
    if (run.length <= left) picked.push(...run)
    else picked.push(...run.slice(run.length - left))
  }
  return picked.sort((a, b) => a - b)
}

/** Ascending slots as runs of neighbours. */
export function runsOf(slots: readonly number[]): number[][] {
  const runs: number[][] = []
  for (const slot of slots) {
    const last = runs.at(-1)
    if (last && last.at(-1) === slot - 1) last.push(slot)
    else runs.push([slot])
  }
  return runs
}
