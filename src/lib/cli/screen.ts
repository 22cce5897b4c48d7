/**
 * How does one draw on the whole terminal and leave it as it was? The alternate screen, keys one by one, and only the lines
 * that changed. However the program ends, short of SIGKILL, the terminal is put back.
 */
import {visibleLength} from '../render/table.ts'

const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[H\u001b[2J'
// Lines that are too long are wrapped again, the cursor shows, and what stood there before is back.
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'

export interface ScreenEvents {
  /** What a key sends: "q", "\u001b[A"; several at once where they come at once. */
  readonly onKeys: (text: string) => void
  /** The size has changed, or the process was continued: draw all of it. */
  readonly onRedraw: () => void
  /** The terminal is gone. */
  readonly onLost: () => void
}

export class Screen {
  readonly #input: NodeJS.ReadStream
  readonly #output: NodeJS.WriteStream
  readonly #events: ScreenEvents
  #shown: readonly string[] = []
  #isOpen = false

  /** Without a terminal for `input` there are no keys. */
  constructor(input: NodeJS.ReadStream, output: NodeJS.WriteStream, events: ScreenEvents) {
    this.#input = input
    this.#output = output
    this.#events = events
  }

  get rows(): number {
    return this.#output.rows || 24
  }

  open(): void {
    process.on('exit', this.#leave)
    // Before anything is said about them.
    process.on('uncaughtExceptionMonitor', this.#leave)
    process.prependListener('unhandledRejection', this.#leave)
    process.on('SIGCONT', this.#onContinued)
    this.#output.on('resize', this.#onResize)
    this.#output.on('error', this.#events.onLost)
    if (this.#input.isTTY) {
      this.#input.on('data', this.#onData)
      this.#input.on('end', this.#events.onLost)
      this.#input.on('error', this.#events.onLost)
      this.#input.resume()
    }
    this.#enter()
  }

  /** One write, or none. `lines` are no wider than the terminal, and no more than its rows. */
  draw(lines: readonly string[]): void {
    // A terminal that does not keep up gets the next one.
    if (!this.#isOpen || this.#output.writableNeedDrain) return
    let text = ''
    for (const [index, line] of lines.entries()) {
      if (line === this.#shown[index]) continue
      // Behind a full line the cursor stands on its last character.
      const rest = visibleLength(line) < this.#output.columns ? '\u001b[K' : ''
      text += `\u001b[${index + 1};1H${line}${rest}`
    }
    if (lines.length < this.#shown.length) text += `\u001b[${lines.length + 1};1H\u001b[J`
    this.#shown = [...lines]
    if (text !== '') this.#output.write(text)
  }

  /** Whatever stands there by now: terminals differ in what they make of lines when their size changes. */
  drawAnew(): void {
    if (this.#isOpen) this.#output.write('\u001b[2J')
    this.#shown = []
    this.#events.onRedraw()
  }

  /** As Ctrl-Z does elsewhere: until the shell says `fg`. */
  suspend(): void {
    this.#leave()
    process.kill(process.pid, 'SIGTSTP')
  }

  /** Safe to call twice. */
  close(): void {
    process.off('exit', this.#leave)
    process.off('uncaughtExceptionMonitor', this.#leave)
    process.off('unhandledRejection', this.#leave)
    process.off('SIGCONT', this.#onContinued)
    this.#output.off('resize', this.#onResize)
    this.#output.off('error', this.#events.onLost)
    this.#input.off('data', this.#onData)
    this.#input.off('end', this.#events.onLost)
    this.#input.off('error', this.#events.onLost)
    this.#leave()
    this.#input.pause()
  }

  #enter(): void {
    this.#setRaw(true)
    this.#isOpen = true
    this.#shown = []
    this.#output.write(ENTER)
  }

  readonly #leave = (): void => {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#output.write(LEAVE)
    this.#setRaw(false)
  }

  #setRaw(isRaw: boolean): void {
    try {
      if (this.#input.isTTY) this.#input.setRawMode(isRaw)
    } catch {
      // The terminal is gone, and with it what would have to be put back.
    }
  }

  readonly #onData = (data: Buffer | string): void => this.#events.onKeys(data.toString())

  readonly #onResize = (): void => this.drawAnew()

  readonly #onContinued = (): void => {
    this.#enter()
    this.#events.onRedraw()
  }
}
