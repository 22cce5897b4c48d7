/**
 * How do lines grow in their order while the engine works on many of them at once? The first that is not done grows as
 * the work goes on; of the others the marks are kept until it is their turn.
 */
import type {EngineEvent} from '../../engine/events.ts'
import type {GrowingLine} from '../../render/drop-in/moves.ts'

const MARKS = {keys: '.', slots: '#'} as const

interface Line {
  readonly head: string
  readonly marks: GrowingLine['marks']
  slotsLeft: number
  waiting: number
}

export class GrowingLines {
  readonly #lines: Line[]
  readonly #bySlot = new Map<number, Line>()
  readonly #write: (text: string) => void
  #at = 0
  #isInLine = false

  constructor(lines: readonly GrowingLine[], write: (text: string) => void) {
    this.#write = write
    this.#lines = lines.map(({head, marks, slots}) => {
      const line = {head, marks, slotsLeft: slots.length, waiting: 0}
      for (const slot of slots) this.#bySlot.set(slot, line)
      return line
    })
  }

  hear(event: EngineEvent): void {
    if (event.kind === 'keys-moved' && event.slot !== undefined) {
      const line = this.#bySlot.get(event.slot)
      if (line?.marks === 'keys') line.waiting += event.keys
    } else if (event.kind === 'slots-moved') {
      for (const slot of event.slots) {
        const line = this.#bySlot.get(slot)
        if (!line) continue
        this.#bySlot.delete(slot)
        line.slotsLeft--
        if (line.marks === 'slots') line.waiting++
      }
    } else if (event.kind !== 'moves-started') return
    this.#draw()
  }

  /** All at once, for what is only simulated. */
  complete(): void {
    for (const line of this.#lines) {
      if (line.marks === 'slots') line.waiting += line.slotsLeft
      line.slotsLeft = 0
    }
    this.#draw()
  }

  /** Whatever is still missing will not come: lines that have something to tell are told. */
  end(): void {
    for (const line of this.#lines.slice(this.#at)) if (line.waiting > 0 || line.slotsLeft === 0) this.#drawLine(line)
    if (this.#isInLine) this.#write('\n')
    this.#at = this.#lines.length
    this.#isInLine = false
  }

  #draw(): void {
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at]!
      this.#drawLine(line)
      if (line.slotsLeft > 0) return
      this.#write('\n')
      this.#isInLine = false
    }
  }

  #drawLine(line: Line): void {
    const isFirst = line === this.#lines[this.#at]
    let text = this.#isInLine && isFirst ? '' : line.head
    if (this.#isInLine && !isFirst) text = `\n${text}`
    this.#isInLine = true
    text += MARKS[line.marks].repeat(line.waiting)
    line.waiting = 0
    if (text !== '') this.#write(text)
  }
}
