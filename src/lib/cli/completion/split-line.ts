/** Which words has somebody typed so far, as bash would read them? Pure. */

export interface SplitLine {
  /** Those that are complete. */
  readonly words: readonly string[]
  /** The one at the cursor; '' after a space. */
  readonly current: string
  /** It begins with a quotation mark, so that bash does not break it at colons. */
  readonly isQuoted: boolean
}

/** Quotes and backslashes as in bash; what is left open ends with the line. Variables and the like stay as they stand. */
export function splitLine(line: string): SplitLine {
  const words: string[] = []
  let current: string | undefined
  let isQuoted = false
  let quote: string | undefined
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string
    if (quote === undefined && /\s/.test(char)) {
      if (current !== undefined) words.push(current)
      current = undefined
      isQuoted = false
      continue
    }
    if (quote === undefined && (char === '"' || char === "'")) {
      isQuoted ||= current === undefined
      current ??= ''
      quote = char
    } else if (char === quote) {
      quote = undefined
    } else if (char === '\\' && quote !== "'" && at + 1 < line.length) {
      current = `${current ?? ''}${line[++at]}`
    } else {
      current = `${current ?? ''}${char}`
    }
  }
  return {words, current: current ?? '', isQuoted}
}
