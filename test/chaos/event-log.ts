/** What happened in a round, when, and in which order? Kept in memory and in a file that outlives a failure. */
import {appendFileSync, mkdirSync} from 'node:fs'
import path from 'node:path'

export class EventLog {
  readonly #startedMs = Date.now()
  readonly #file: string
  readonly lines: string[] = []

  constructor(folder: string) {
    mkdirSync(folder, {recursive: true})
    this.#file = path.join(folder, 'events.log')
  }

  say(text: string): void {
    const line = `${new Date().toISOString()} +${((Date.now() - this.#startedMs) / 1000).toFixed(3)} ${text}`
    this.lines.push(line)
    appendFileSync(this.#file, `${line}\n`)
  }
}
