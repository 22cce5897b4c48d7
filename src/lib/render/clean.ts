/** How is text from a server or a key made safe to show? Everything that could steer a terminal or reorder a line goes. */

// C0 and C1 controls (ESC and CSI among them), zero-width and bidirectional marks, line and paragraph separators.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g

/** One line: line breaks and tabs become a space, all other control characters vanish. */
export function clean(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(UNSAFE, '')
}

/** As `clean`, line by line. */
export function cleanLines(text: string): string {
  return text.split('\n').map(clean).join('\n')
}
