/**
 * How are questions of the drop-in form answered? By what comes on stdin, terminal or not, as redis-cli takes it: a script
 * may write all its answers at once, or "yes" without a newline and keep the pipe open.
 */
import {orAbort} from '../../engine/waiting.ts'

export class Answers {
  readonly #input: NodeJS.ReadableStream
  #text = ''
  #hasEnded = false
  #isListening = false
  /** After a "yes" that was taken without its newline. */
  #isNewlineDue = false
  #wake: () => void = () => {}

  constructor(input: NodeJS.ReadableStream) {
    this.#input = input
  }

  /** The next line without its end; undefined when the input is at its end. @throws the signal's reason. */
  async line(signal: AbortSignal): Promise<string | undefined> {
    return this.#next(signal, () => undefined)
  }

  /** Is the answer "yes"? Anything else is a no, and so is the end of the input. @throws the signal's reason. */
  async isYes(signal: AbortSignal): Promise<boolean> {
    const answer = await this.#next(signal, (text) => {
      if (text !== 'yes') return undefined
      this.#isNewlineDue = true
      return text
    })
    return answer === 'yes'
  }

  /** `early` may take all that has come before a newline has. */
  async #next(signal: AbortSignal, early: (text: string) => string | undefined): Promise<string | undefined> {
    this.#listen()
    try {
      for (;;) {
        if (this.#isNewlineDue && this.#text !== '') {
          this.#text = this.#text.replace(/^\r?\n/, '')
          this.#isNewlineDue = false
        }
        const end = this.#text.indexOf('\n')
        const taken = end === -1 ? early(this.#text) : this.#text.slice(0, end).replace(/\r$/, '')
        if (taken !== undefined) {
          this.#text = end === -1 ? '' : this.#text.slice(end + 1)
          return taken
        }
        if (this.#hasEnded) {
          const rest = this.#text
          this.#text = ''
          return rest === '' ? undefined : rest
        }
        await orAbort(new Promise<void>((resolve) => (this.#wake = resolve)), signal)
      }
    } finally {
      // Else it would keep what comes from a child that reads the same terminal, and the process alive.
      this.#input.pause()
    }
  }

  #listen(): void {
    if (!this.#isListening) {
      this.#isListening = true
      this.#input.setEncoding('utf8')
      this.#input.on('data', (chunk) => {
        this.#text += String(chunk)
        this.#wake()
      })
      const end = (): void => {
        this.#hasEnded = true
        this.#wake()
      }
      for (const event of ['end', 'close', 'error']) this.#input.on(event, end)
    }
    this.#input.resume()
  }
}
