/** How is the name of a key shown? In quotes, on one line, every byte that could steer a terminal told by its number. */
import {clean} from './clean.ts'

/** A longer name is cut: what counts is to find the key again. */
const NAME_LENGTH = 60

/** "user:1", "a\x00b". Bytes that are no UTF-8 are told one by one. */
export function quoteKey(key: Buffer): string {
  const text = key.toString('utf8')
  const isText = Buffer.from(text).equals(key)
  const shown = [...(isText ? text : key.toString('latin1'))].map((char) => {
    if (char === '"' || char === '\\') return `\\${char}`
    return clean(char) === char && (isText || char <= '~')
      ? char
      : escapeBytes(Buffer.from(char, isText ? 'utf8' : 'latin1'))
  })
  return `"${shown.length > NAME_LENGTH ? `${shown.slice(0, NAME_LENGTH).join('')}...` : shown.join('')}"`
}

function escapeBytes(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}
