/** How does a long list of short lines use a wide terminal? Side by side, read downwards. */
import type {Style} from './colour.ts'
import {visibleLength} from './table.ts'

/** So few stay below each other. */
const SHORT_LIST = 8
const GAP = 4

export function inColumns(lines: readonly string[], {columns, isTerminal}: Style): string[] {
  const widest = Math.max(0, ...lines.map(visibleLength))
  const fitting = Math.max(1, Math.floor((columns + GAP) / (widest + GAP)))
  const count = isTerminal && lines.length > SHORT_LIST ? fitting : 1
  const height = Math.ceil(lines.length / count)
  return Array.from({length: height}, (_, row) =>
    Array.from({length: count}, (_, column) => lines[column * height + row] ?? '')
      .map((line) => line + ' '.repeat(widest + GAP - visibleLength(line)))
      .join('')
      .trimEnd(),
  )
}
