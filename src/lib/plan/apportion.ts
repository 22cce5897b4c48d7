/** How are whole slots divided by weight? Largest remainder: the parts add up to the whole, exactly. Pure. */

/**
 * `total` whole things to the keys of `weights`, in proportion; weight 0 gets 0. What is left over after rounding down
 * goes to the largest remainders, ties to the smaller key.
 * @throws RangeError when no weight is above 0, or one is negative or not finite.
 */
export function apportion(total: number, weights: ReadonlyMap<string, number>): Map<string, number> {
  const sum = [...weights.values()].reduce((all, weight) => all + weight, 0)
  for (const [key, weight] of weights) {
    if (!(weight >= 0 && Number.isFinite(weight))) throw new RangeError(`the weight of ${key} is ${weight}`)
  }
  if (!(sum > 0)) throw new RangeError('all weights are 0')
  const parts = [...weights].map(([key, weight]) => {
    const exact = (total * weight) / sum
    return {key, weight, whole: Math.floor(exact), remainder: exact - Math.floor(exact)}
  })
  let left = total - parts.reduce((all, {whole}) => all + whole, 0)
  const order = parts
    .filter(({weight}) => weight > 0)
    .sort((a, b) => b.remainder - a.remainder || (a.key < b.key ? -1 : 1))
  for (const part of order) {
    if (left <= 0) break
    part.whole++
    left--
  }
  return new Map(parts.map(({key, whole}) => [key, whole]))
}
