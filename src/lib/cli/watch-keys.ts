/** What do the keys do while a cluster is watched? Pure. */
import {nextSort, type WatchView} from '../render/watch-frame.ts'

export type KeyCommand = 'quit' | 'suspend' | 'redraw'

const INTERVALS_MS = [500, 1000, 2000, 3000, 5000, 10_000, 15_000, 30_000, 60_000]
const PAGE = 10

/** Keys as terminals send them, one by one; what is no key of ours is among them. */
export function splitKeys(text: string): string[] {
  return text.match(/\u001b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])?|[\s\S]/gu) ?? []
}

/** `nodes`: how many rows there are to scroll through. */
export function pressKey(view: WatchView, key: string, nodes: number): WatchView | KeyCommand {
  const scrollBy = (rows: number): WatchView => ({
    ...view,
    scroll: Math.max(0, Math.min(nodes - 1, view.scroll + rows)),
  })
  switch (key) {
    case 'q':
    case 'Q':
    case '\u0003':
      return 'quit'
    case '\u001a':
      return 'suspend'
    case '\u000c':
      return 'redraw'
    case '\u001b':
      return {...view, isHelpShown: false}
    case '?':
    case 'h':
      return {...view, isHelpShown: !view.isHelpShown}
    case 's':
    case '\u001b[C':
    case '\u001bOC':
      return {...view, sort: nextSort(view.sort, 1), scroll: 0}
    case 'S':
    case '\u001b[D':
    case '\u001bOD':
      return {...view, sort: nextSort(view.sort, -1), scroll: 0}
    case 'r':
      return {...view, isReversed: !view.isReversed, scroll: 0}
    case 'p':
    case ' ':
      return {...view, isPaused: !view.isPaused}
    case '+':
    case '=':
      return {...view, intervalMs: INTERVALS_MS.find((ms) => ms > view.intervalMs) ?? view.intervalMs}
    case '-':
      return {...view, intervalMs: INTERVALS_MS.findLast((ms) => ms < view.intervalMs) ?? view.intervalMs}
    case '\u001b[B':
    case '\u001bOB':
    case 'j':
      return scrollBy(1)
    case '\u001b[A':
    case '\u001bOA':
    case 'k':
      return scrollBy(-1)
    case '\u001b[6~':
      return scrollBy(PAGE)
    case '\u001b[5~':
      return scrollBy(-PAGE)
    default:
      return view
  }
}
