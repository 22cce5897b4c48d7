/**
 * Which of its slots does a primary give away? Whole ranges where they fit, cut from one end where one does not, so that
 * ranges do not turn to confetti. Pure.
 */

/**
 * `count` of the ascending `slots`, ascending: whole ranges, the smallest first, so that the fewest fragments stay
 * behind; among equals those beside what the taker has, then the highest. Where no range fits whole any more, one that
 * lies beside what the taker has is cut on that side, else the first at its upper end. `count` may not exceed the slots.
 */
export function pickSlots(
  slots: readonly number[],
  count: number,
  isTakers: (slot: number) => boolean = () => false,
): number[] {
  const runs = runsOf(slots)
    .map((run) => ({run, joinsBelow: isTakers(run[0]! - 1), joinsAbove: isTakers(run.at(-1)! + 1)}))
    .map((end) => ({...end, joins: end.joinsBelow || end.joinsAbove}))
    .sort((a, b) => a.run.length - b.run.length || Number(b.joins) - Number(a.joins) || b.run[0]! - a.run[0]!)
  const picked: number[] = []
  let whole = 0
  while (whole < runs.length && picked.length + runs[whole]!.run.length <= count) picked.push(...runs[whole++]!.run)
  const left = count - picked.length
  const cut = runs.slice(whole).find(({joins}) => joins) ?? runs[whole]
  if (left > 0 && cut) {
    const isLow = cut.joinsBelow && !cut.joinsAbove
    picked.push(...(isLow ? cut.run.slice(0, left) : cut.run.slice(cut.run.length - left)))
  }
  return picked.sort((a, b) => a - b)
}

/** Ascending slots as runs of neighbours. */
function runsOf(slots: readonly number[]): number[][] {
  const runs: number[][] = []
  for (const slot of slots) {
    const last = runs.at(-1)
    if (last && last.at(-1) === slot - 1) last.push(slot)
    else runs.push([slot])
  }
  return runs
}
