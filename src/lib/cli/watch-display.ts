/** Where does what is watched show: on the whole screen, or line by line? And when is the next look due? */
import {pause} from '../engine/waiting.ts'
import type {Style} from '../render/colour.ts'
import {cutLine, renderWatch, type WatchView} from '../render/watch-frame.ts'
import type {Picture} from '../watch/picture.ts'
import {Screen} from './screen.ts'
import {pressKey, splitKeys} from './watch-keys.ts'

export interface WatchDisplay {
  /** Aborted when the person has seen enough, or nobody reads any more. */
  readonly hasEnough: AbortSignal
  show(picture: Picture): Promise<void>
  /** Until the next look; `startedAt`: when the last one began, `leastMs`: how far looks are to be apart at least. */
  rest(startedAt: number, leastMs: number, signal: AbortSignal): Promise<void>
  close(): void
}

/** Writes what `text` makes of each picture to stdout, and waits until it is taken. */
export class LineDisplay implements WatchDisplay {
  readonly #enough = new AbortController()
  readonly #text: (picture: Picture) => string
  readonly #intervalMs: number
  readonly #onLost = (): void => this.#enough.abort()

  constructor(intervalMs: number, text: (picture: Picture) => string) {
    this.#intervalMs = intervalMs
    this.#text = text
    process.stdout.on('error', this.#onLost)
  }

  get hasEnough(): AbortSignal {
    return this.#enough.signal
  }

  show(picture: Picture): Promise<void> {
    return new Promise((resolve) => process.stdout.write(`${this.#text(picture)}\n`, () => resolve()))
  }

  async rest(startedAt: number, leastMs: number, signal: AbortSignal): Promise<void> {
    await pause(startedAt + Math.max(this.#intervalMs, leastMs) - performance.now(), signal)
  }

  close(): void {
    process.stdout.off('error', this.#onLost)
  }
}

/** The whole terminal, with keys. */
export class ScreenDisplay implements WatchDisplay {
  readonly #enough = new AbortController()
  readonly #screen: Screen
  readonly #style: () => Style
  #view: WatchView
  #picture: Picture | undefined
  /** Ends the rest: a key may have made the next look due. */
  #wake: AbortController | undefined

  constructor(view: WatchView, style: () => Style, firstWords: string) {
    this.#view = view
    this.#style = style
    this.#screen = new Screen(process.stdin, process.stdout, {
      onKeys: (text) => this.#press(text),
      onRedraw: () => this.#draw(),
      onLost: () => this.#enough.abort(),
    })
    this.#screen.open()
    const {columns, isUnicode} = style()
    this.#screen.draw([cutLine(firstWords, columns, isUnicode)])
  }

  get hasEnough(): AbortSignal {
    return this.#enough.signal
  }

  async show(picture: Picture): Promise<void> {
    this.#picture = picture
    this.#draw()
  }

  async rest(startedAt: number, leastMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const {isPaused, intervalMs} = this.#view
      const leftMs = isPaused ? 3_600_000 : startedAt + Math.max(intervalMs, leastMs) - performance.now()
      if (leftMs <= 0) return
      this.#wake = new AbortController()
      await pause(leftMs, AbortSignal.any([signal, this.#wake.signal]))
    }
  }

  close(): void {
    this.#screen.close()
  }

  #press(text: string): void {
    for (const key of splitKeys(text)) {
      const next = pressKey(this.#view, key, this.#picture?.round.topology.nodes.length ?? 1)
      if (next === 'quit') this.#enough.abort()
      else if (next === 'suspend') this.#screen.suspend()
      else if (next === 'redraw') this.#screen.drawAnew()
      else this.#view = next
    }
    this.#draw()
    this.#wake?.abort()
  }

  #draw(): void {
    if (this.#picture) this.#screen.draw(renderWatch(this.#picture, this.#view, this.#style(), this.#screen.rows))
  }
}
