import {readdirSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import type {Command} from '@oclif/core/command'
import {expect, test} from 'vitest'
import {RULE_BOOK, RULE_IDS} from '../../src/lib/findings/rule-book.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {renderRuleBook, rulesPage} from '../../src/lib/render/rule-book.ts'

const folder = fileURLToPath(new URL('../../src/commands', import.meta.url))
/** "reshard", "config set" */
const commandNames = readdirSync(folder, {recursive: true, encoding: 'utf8'})
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace(/\.ts$/, '').replace(path.sep, ' '))

test('docs/rules.md is what the book says', async () => {
  await expect(rulesPage()).toMatchFileSnapshot('../../docs/rules.md')
})

test('the list has a line for every rule, within 80 columns', () => {
  const lines = renderRuleBook(RULE_IDS, {...PLAIN_STYLE, columns: 80}).split('\n')
  for (const id of RULE_IDS) expect(lines.filter((line) => line.startsWith(`${id} `))).toHaveLength(1)
})

test.each(RULE_IDS)('%s is told with its reasons and what mends it', (id) => {
  const {title, why, mend} = RULE_BOOK[id]
  const text = renderRuleBook([id], PLAIN_STYLE)
  for (const part of [id, title, why, mend]) expect(text).toContain(part)
  expect(title).not.toMatch(/[.]$/)
  expect(why).toMatch(/[.]$/)
})

test.each(RULE_IDS)('what mends %s are commands that there are', async (id) => {
  for (const [, line = ''] of RULE_BOOK[id].mend.matchAll(/rcluster ([^;,]*)/g)) {
    const [first = '', second = ''] = line.split(' ')
    const name = commandNames.includes(`${first} ${second}`) ? `${first} ${second}` : first
    expect(commandNames).toContain(name)
    const words = line.slice(name.length)
    const {default: command} = (await import(path.join(folder, `${name.replace(' ', path.sep)}.ts`))) as {
      default: typeof Command
    }
    const flags = Object.keys({...command.baseFlags, ...command.flags})
    const own = words.split(' -- ')[0] ?? ''
    for (const [, flag = ''] of own.matchAll(/ --([a-z-]+)/g)) expect(flags).toContain(flag)
  }
})
