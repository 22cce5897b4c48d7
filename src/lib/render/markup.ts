/** How does text from anywhere get into HTML and SVG? As text, whatever it is: nothing in it is markup, or steers a line. */
import {clean} from './clean.ts'

const ENTITIES: Readonly<Record<string, string>> = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;'}
/** Half of a pair, and what is no character: XML has no way to write them. */
const UNWRITABLE = /[\p{Cs}\ufffe\uffff]/gu

/** For between tags and within quoted attributes. */
export function escapeMarkup(text: string): string {
  return clean(text)
    .replace(UNWRITABLE, '')
    .replace(/[&<>"']/g, (char) => ENTITIES[char] ?? '')
}
