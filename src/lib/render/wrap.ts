/** How does prose fit a terminal? Broken between words, and in a pipe not at all: logs are searched line by line. */
import type {Style} from './colour.ts'
import {visibleLength} from './table.ts'

/**
 * `text` within the terminal's width, the lines after the first indented. `taken` columns of the first line are used
 * already. A word longer than a line stays whole. Not for commands: a broken line cannot be pasted.
 */
export function wrap(text: string, {isTerminal, columns}: Style, taken: number, indent: number): string {
  if (!isTerminal || columns < 40) return text
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const used = lines.length === 0 ? taken : indent
    if (line !== '' && used + visibleLength(line) + 1 + visibleLength(word) > columns) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`)
}
