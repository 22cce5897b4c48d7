/** Which known word was probably meant? */

/**
 * The closest of `known`, or undefined when none is within `mostEdits`: of every three letters one, where nothing else is
 * said. Ties go to the first. Case does not count.
 */
export function nearestWord(word: string, known: Iterable<string>, mostEdits?: number): string | undefined {
  const wanted = word.toLowerCase()
  let best: string | undefined
  let bestDistance = (mostEdits ?? Math.max(1, Math.floor(wanted.length / 3))) + 1
  for (const candidate of known) {
    const text = candidate.toLowerCase()
    const distance = wanted.length >= 3 && text.startsWith(wanted) ? 0.5 : editDistance(wanted, text)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({length: b.length + 1}, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1]
      let cost = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (isSame ? 0 : 1))
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, beforeLast[column - 2]! + 1)
      }
      current.push(cost)
    }
    beforeLast = last
    last = current
  }
  return last[b.length]!
}
