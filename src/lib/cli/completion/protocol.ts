/**
 * How do a shell and `rcluster __complete SHELL` talk? Asked, on stdin, where no other user sees what is being typed: words that
 * NUL bytes part. Bash sends the line up to the cursor and its word breaks, the others the words, with the program's name first
 * and the word at the cursor last. Answered: a candidate a line, with a tab before what it is about, and after those lines that
 * begin with a colon for what the shell has to do. Pure.
 */
import type {Completion} from './candidates.ts'
import {splitLine} from './split-line.ts'

export interface Question {
  readonly words: readonly string[]
  readonly current: string
  /** How much of the front of each candidate the shell has already. */
  readonly cut: number
}

/** undefined: nothing that can be answered. */
export function parseQuestion(shell: string | undefined, input: string): Question | undefined {
  const parts = input.split('\0')
  if (shell === 'bash') {
    const [line = '', breaks = ''] = parts
    const {words, current, isQuoted} = splitLine(line)
    // At these bash has begun a new word, which is all that it replaces.
    const last = isQuoted ? -1 : Math.max(-1, ...[...breaks].map((char) => current.lastIndexOf(char)))
    return {words: words.slice(1), current, cut: last + 1}
  }
  // A NUL byte is after the last word, too.
  const words = parts.slice(0, -1)
  return words.length < 2 ? undefined : {words: words.slice(1, -1), current: words.at(-1) ?? '', cut: 0}
}

export function formatAnswer({candidates, paths, isOpen}: Completion, cut: number): string {
  const lines = candidates.map(({value, about}) => `${value.slice(cut)}${about ? `\t${about}` : ''}`)
  if (isOpen) lines.push(':nospace')
  if (paths) lines.push(`:${paths}`)
  return lines.map((line) => `${line}\n`).join('')
}
