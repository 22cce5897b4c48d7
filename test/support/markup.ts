/** Is a text well-formed XML, as far as reports use it? And what stands in it? A checker of a few lines, not a parser of all. */

export interface Markup {
  /** Names of elements, in order. */
  readonly tags: readonly string[]
  readonly attributes: readonly {readonly tag: string; readonly name: string; readonly value: string}[]
  /** What is between tags, entities resolved. */
  readonly text: string
}

const NAME = '[A-Za-z][\\w:.-]*'
const TOKEN = new RegExp(
  `<!--(?:(?!--)[\\s\\S])*-->|<!DOCTYPE html>|</(${NAME})\\s*>|<(${NAME})((?:\\s+${NAME}="[^"<]*")*)\\s*(/?)>|[^<]+`,
  'y',
)
const ENTITY = /&(?:(amp|lt|gt|quot)|#(\d+));/g
const NAMED: Readonly<Record<string, string>> = {amp: '&', lt: '<', gt: '>', quot: '"'}

/** @throws Error naming the place where it is not well-formed. */
export function parseMarkup(source: string): Markup {
  const open: string[] = []
  const tags: string[] = []
  const attributes: {tag: string; name: string; value: string}[] = []
  let text = ''
  for (let at = 0; at < source.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at
    const found = TOKEN.exec(source)
    if (!found) throw new Error(`not well-formed: ${source.slice(at, at + 80)}`)
    const [token, closed, opened, words = '', isEmpty] = found
    if (closed !== undefined) {
      const last = open.pop()
      if (last !== closed) throw new Error(`</${closed}> closes <${last}>`)
    } else if (opened !== undefined) {
      tags.push(opened)
      if (!isEmpty) open.push(opened)
      for (const [, name = '', value = ''] of words.matchAll(new RegExp(`(${NAME})="([^"]*)"`, 'g'))) {
        attributes.push({tag: opened, name, value: resolve(value)})
      }
    } else if (!token.startsWith('<')) text += resolve(token)
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(' ')}`)
  return {tags, attributes, text}
}

function resolve(text: string): string {
  if (/&(?!(?:amp|lt|gt|quot|#\d+);)/.test(text)) throw new Error(`a bare & in ${text.slice(0, 80)}`)
  return text.replace(ENTITY, (_, name: string | undefined, code: string) =>
    name === undefined ? String.fromCodePoint(Number(code)) : (NAMED[name] ?? ''),
  )
}
