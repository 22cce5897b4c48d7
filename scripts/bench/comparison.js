// How do two contenders compare, round by round? Only runs of the same round are set beside each other: a loud minute
// then hits both.

/** Runs of a contender that ended well, as {round, contender, result}. */
export function runsOf(runs, contender) {
  return runs.filter((run) => run.contender === contender && run.result !== undefined)
}

/** `compare(result, rivalsResult)` of each round in which both ended well, leaving out what is no number. */
export function pairwise(runs, contender, rival, compare) {
  const rivals = new Map(runsOf(runs, rival).map(({round, result}) => [round, result]))
  return spread(
    runsOf(runs, contender).flatMap(({round, result}) =>
      rivals.has(round) ? [compare(result, rivals.get(round))] : [],
    ),
  )
}

/** @returns median, least and most; undefined without a number. */
export function spread(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 0 ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)]
  return {median, min: sorted[0], max: sorted.at(-1)}
}
