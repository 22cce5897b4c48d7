/** At most `count` of them, evenly spread. Pure. */
export function spread<T>(items: readonly T[], count: number): T[] {
  const wanted = Math.min(items.length, count)
  return Array.from({length: wanted}, (_, index) => items[Math.floor((index * items.length) / wanted)] as T)
}
