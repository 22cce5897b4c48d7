/** How are counts, bytes and times written? */

/** 1234567 → "1,234,567". Not by toLocaleString, whose first call takes 12 ms. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** At most four characters and a letter: 999, 12.3k, 4.56M. */
export function formatShort(value: number): string {
  if (value < 1000) return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : String(Math.round(value))
  let [scaled, unit] = [value, '']
  for (const next of ['k', 'M', 'G', 'T']) {
    if (scaled < 999.5) break
    scaled /= 1000
    unit = next
  }
  return `${scaled < 9.995 ? scaled.toFixed(2) : scaled < 99.95 ? scaled.toFixed(1) : scaled.toFixed(0)}${unit}`
}

/** Powers of 1024, as INFO does: "512 B", "1.5 MB". */
export function formatBytes(bytes: number): string {
  let [scaled, unit] = [bytes, 'B']
  for (const next of ['KB', 'MB', 'GB', 'TB', 'PB']) {
    if (scaled < 1023.5) break
    scaled /= 1024
    unit = next
  }
  return `${unit === 'B' || scaled >= 99.95 ? scaled.toFixed(0) : scaled.toFixed(1)} ${unit}`
}

/** Milliseconds as "40 ms", "0.4 s", "12 s", "3m05s", "2h07m". */
export function formatDuration(ms: number): string {
  if (ms < 99.5) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const [large, small, units] =
    whole < 3600 ? [whole / 60, whole % 60, 'ms'] : [whole / 3600, (whole % 3600) / 60, 'hm']
  return `${Math.floor(large)}${units[0]}${String(Math.floor(small)).padStart(2, '0')}${units[1]}`
}

/** "2026-11-29 20:04:33 UTC" */
export function formatMoment(moment: Date): string {
  return `${moment.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** "1 key", "2,000 keys", "2 primaries"; counts of slots have no comma, since slot numbers have none: "4096 slots". */
export function plural(count: number, noun: string): string {
  const number = noun === 'slot' ? String(count) : formatCount(count)
  return `${number} ${count === 1 ? noun : noun.endsWith('y') && noun !== 'key' ? `${noun.slice(0, -1)}ies` : `${noun}s`}`
}
