/** Are docs/README.md and docs/commands what the commands say, and do the guides say what is so? */
import {existsSync, readdirSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {describe, expect, test} from 'vitest'
import {commandPages} from '../../src/lib/render/command-pages.ts'
import {anchorOf, headingsOf, parseCommand, readCommands, readFacts} from '../support/commands.ts'
import {commandsIn} from '../support/examples.ts'

const docs = fileURLToPath(new URL('../../docs', import.meta.url))
const read = (name: string): string => readFileSync(path.join(docs, name), 'utf8')

const commands = await readCommands()
const names = commands.map(({name}) => name)
const guides = readdirSync(path.join(docs, 'guides'))
  .sort()
  .map((file) => {
    const text = read(`guides/${file}`)
    const typed = commandsIn(text).map(([first = '', second = '']) => {
      return names.includes(`${first} ${second}`) ? `${first} ${second}` : first
    })
    return {file, title: /^# (.*)$/m.exec(text)?.[1] ?? '', commands: [...new Set(typed)]}
  })
const pages = commandPages(await readFacts(commands), guides)

test.each([...pages])('docs/%s is what the commands say', async (name, content) => {
  await expect(content).toMatchFileSnapshot(path.join(docs, name))
})

test('there is a page for each command, and none for what is gone', () => {
  const made = [...pages.keys()].filter((name) => name.startsWith('commands/')).map((name) => path.basename(name))
  expect(made).toHaveLength(commands.length + 1)
  expect(readdirSync(path.join(docs, 'commands')).filter((file) => !made.includes(file))).toEqual([])
})

const all: readonly (readonly [string, string])[] = [
  ...pages,
  ...guides.map(({file}) => [`guides/${file}`, read(`guides/${file}`)] as const),
]

describe.each(all)('%s', (name, text) => {
  const inline = [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`rcluster ([a-z][^`…]*)`/g)]
  const lines = [...commandsIn(text), ...inline.map(([, line = '']) => line.replace(/\s+/g, ' ').split(' '))]

  test('every rcluster command in it is one that the program takes', async () => {
    for (const words of lines) {
      const redirection = words.findIndex((word) => /^[>|]/.test(word))
      const typed = redirection === -1 ? words : words.slice(0, redirection)
      await expect(parseCommand(typed, commands), words.join(' ')).resolves.toBeUndefined()
    }
  })

  test('its lines are short, and what it links to is there', () => {
    const prose = text.replace(/^```[\s\S]*?^```$/gm, '').split('\n')
    // Where a link leads cannot be wrapped.
    const shown = prose.map((line) => line.replace(/\]\([^)]*\)/g, ']'))
    expect(shown.filter((line) => line.length > 130)).toEqual([])
    for (const [, link = '', anchor] of text.matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)) {
      // What `npm run docs` is about to write is not there yet.
      const target = path.join(path.dirname(name), link)
      expect(pages.has(target) || existsSync(path.join(docs, target)), link).toBe(true)
      if (anchor === undefined) continue
      expect(headingsOf(pages.get(target) ?? read(target)).map(anchorOf), `${link}#${anchor}`).toContain(anchor)
    }
  })
})

test('every guide has a title, and commands to type or a place where they are', () => {
  expect(guides.length).toBeGreaterThan(8)
  for (const {file, title, commands: typed} of guides) {
    expect(title, file).not.toBe('')
    expect(typed.length > 0 || read(`guides/${file}`).includes('../../examples/'), file).toBe(true)
  }
})
