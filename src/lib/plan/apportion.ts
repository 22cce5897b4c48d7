/** How are whole slots divided by weight? Largest remainder: the parts add up to the whole, exactly. Pure. */

/**
 * `total` whole things to the keys of `weights`, in proportion; weight 0 gets 0. What is left over after rounding down
 * goes to the largest remainders, ties to the smaller key.
 * @throws RangeError when no weight is above 0, or one is negative or not finite.
 */
export function apportion(total: number, weights: ReadonlyMap<string, number>): Map<string, number> {
  for (const [key, weight] of weights) {
    if (!(weight >= 0 && Number.isFinite(weight))) throw new RangeError(`the weight of ${key} is ${weight}`)
  }
  const parts = [...exactShares(total, weights)].map(([key, exact]) => {
    const weight = weights.get(key) ?? 0
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

/**
 * The shares before rounding.
 * @throws RangeError when no weight is above 0.
 */
export function exactShares(total: number, weights: ReadonlyMap<string, number>): Map<string, number> {
  const largest = Math.max(0, ...weights.values())
  if (!(largest > 0)) throw new RangeError('all weights are 0')
  // Neither the sum nor a product leaves the range of numbers then, and dividing by a power of two rounds nothing.
  const scale = 2 ** Math.min(Math.max(Math.floor(Math.log2(largest)), -1022), 1023)
  // In order of size: what is lost in adding must not depend on the order in which the weights were given.
  const sum = [...weights.values()].sort((a, b) => a - b).reduce((all, weight) => all + weight / scale, 0)
  return new Map([...weights].map(([key, weight]) => [key, (total * (weight / scale)) / sum]))
}
