/** How does a long name fit? Its middle goes: what tells names apart is at their beginning, and a port at their end. */
import type {Style} from './colour.ts'

/** At most `width` characters, of which there are 4 or more. */
export function shorten(text: string, width: number, {isUnicode}: Pick<Style, 'isUnicode'>): string {
  if (text.length <= width) return text
  const dots = isUnicode ? '…' : '..'
  const kept = Math.max(0, width - dots.length)
  const tail = Math.min(Math.ceil(kept / 2), 12)
  return `${text.slice(0, kept - tail)}${dots}${text.slice(text.length - tail)}`
}
