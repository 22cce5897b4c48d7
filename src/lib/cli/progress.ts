/** How does progress reach the person: as one live line, as plain lines, as events, or not at all? */
import type {Ora} from 'ora'
import type {EngineEvent, EngineListener} from '../engine/events.ts'
import {clean} from '../render/clean.ts'
import {PLAIN_STYLE, type Style} from '../render/colour.ts'
import {
  initialProgress,
  progressFraction,
  reduceProgress,
  renderProgress,
  renderProgressSummary,
  sampleRate,
} from '../render/progress.ts'

export type ProgressMode = 'live' | 'plain' | 'ndjson' | 'none'

export interface Progress {
  readonly listener: EngineListener
  /** Clears the live line; says how fast it was, if keys were moved. Safe to call twice. */
  end(): void
}

const REDRAW_MS = 200
const PLAIN_EVERY_MS = 5000
/** A move that is over in a second is no reason for ten lines. */
const PLAIN_AT_LEAST_MS = 1000

/** Groups of slots fail and retry together, and a node that is away is away for all of them: said once in this time. */
const SAME_RETRY_MS = 5000

/** `write` puts one line on stderr. */
export function createProgress(mode: ProgressMode, style: () => Style, write: (line: string) => void): Progress {
  switch (mode) {
    case 'none':
      return {listener: () => {}, end: () => {}}
    case 'ndjson':
      return {
        listener: (event) => write(JSON.stringify({time: new Date().toISOString(), ...event})),
        end: () => {},
      }
    case 'plain':
      return createPlain(write)
    case 'live':
      return createLive(style, write)
  }
}

/** A line when the stage changes, and while moving every 5 s or every 10 %, at most once a second. */
function createPlain(write: (line: string) => void): Progress {
  let state = initialProgress(performance.now())
  let [saidMs, saidTenth] = [state.startedMs, 0]
  let hasEnded = false
  const isNews = newsFilter()
  const say = (text: string): void => write(`${new Date().toTimeString().slice(0, 8)} ${clean(text)}`)
  const timer = setInterval(() => {
    state = sampleRate(state, performance.now())
    considerLine()
  }, 1000)
  timer.unref()
  const considerLine = (): void => {
    const fraction = progressFraction(state)
    if (fraction === undefined) {
      // Keys of which nobody knows how many there are.
      if (state.keysDone === 0 || performance.now() - saidMs < PLAIN_EVERY_MS) return
      saidMs = performance.now()
      say(renderProgress(state, {...PLAIN_STYLE, columns: 160}))
      return
    }
    const tenth = Math.floor(fraction * 10)
    const isDue = performance.now() - saidMs >= (tenth === saidTenth ? PLAIN_EVERY_MS : PLAIN_AT_LEAST_MS)
    const isLast = fraction === 1 && saidTenth !== 10
    if (!isDue && !isLast) return
    saidTenth = tenth
    saidMs = performance.now()
    // Redirected logs have no width; the bar says nothing there.
    say(renderProgress(state, {...PLAIN_STYLE, columns: 160}).replace(/^[#-]+ +/, ''))
  }
  return {
    listener: (event) => {
      state = reduceProgress(state, event, performance.now())
      if (event.kind === 'moves-started') [saidMs, saidTenth] = [performance.now(), 0]
      const line = lineOf(event)
      if (line && isNews(event)) say(line)
      else if (!line) considerLine()
    },
    end: () => {
      clearInterval(timer)
      const summary = renderProgressSummary(state, performance.now())
      if (!hasEnded && summary) say(summary)
      hasEnded = true
    },
  }
}

/** One line that is drawn over. ora is loaded meanwhile; what happens before it is there is not lost. */
function createLive(style: () => Style, write: (line: string) => void): Progress {
  let state = initialProgress(performance.now())
  let spinner: Ora | undefined
  let hasEnded = false
  const isNews = newsFilter()
  const text = (): string => {
    const {columns, ...rest} = style()
    // Two columns are the spinner's.
    return renderProgress(state, {...rest, columns: columns - 2})
  }
  void import('./spinner.ts').then(({startSpinner}) => {
    if (!hasEnded) spinner = startSpinner(text(), style().isUnicode, style().chalk.level > 0)
  })
  const timer = setInterval(() => {
    state = sampleRate(state, performance.now())
    if (spinner) spinner.text = text()
  }, REDRAW_MS)
  timer.unref()
  return {
    listener: (event) => {
      state = reduceProgress(state, event, performance.now())
      if ((event.kind === 'note' || event.kind === 'retry') && isNews(event)) write(clean(lineOf(event) ?? ''))
      else if (event.kind === 'phase' && spinner) spinner.text = text()
    },
    end: () => {
      if (hasEnded) return
      hasEnded = true
      clearInterval(timer)
      spinner?.stop()
      const summary = renderProgressSummary(state, performance.now())
      if (summary) write(summary)
    },
  }
}

/** False for a retry whose reason was told a moment ago. */
function newsFilter(): (event: EngineEvent) => boolean {
  const toldMs = new Map<string, number>()
  return (event) => {
    if (event.kind !== 'retry') return true
    const nowMs = performance.now()
    if (nowMs - (toldMs.get(event.reason) ?? Number.NEGATIVE_INFINITY) < SAME_RETRY_MS) return false
    toldMs.set(event.reason, nowMs)
    return true
  }
}

function lineOf(event: EngineEvent): string | undefined {
  switch (event.kind) {
    case 'phase':
    case 'note':
      return event.text
    case 'retry':
      return `Trying again: ${event.reason}`
    default:
      return undefined
  }
}
