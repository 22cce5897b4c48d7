import {readdirSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {describe, expect, it, test} from 'vitest'
import {RIGHTS, ruleLine, uniteRights} from '../../src/lib/engine/rights.ts'

const COMMANDS = fileURLToPath(new URL('../../src/commands', import.meta.url))
/** They ask no cluster, or start it themselves. */
const WITHOUT_RULE = ['addresses', 'completion', 'context', 'drop-in', 'local']

test('every command has its rights in the table', () => {
  const files = readdirSync(COMMANDS, {recursive: true, encoding: 'utf8'}).filter((file) => file.endsWith('.ts'))
  const all = files.map((file) => file.replace(/\.ts$/, '').replace(path.sep, ' '))
  const names = all.filter(
    (name) => name !== 'acl' && !WITHOUT_RULE.some((one) => name === one || name.startsWith(`${one} `)),
  )
  expect(names.length).toBeGreaterThan(15)
  expect(Object.keys(RIGHTS).filter((name) => !names.includes(name))).toEqual([])
  expect(names.filter((name) => !(name in RIGHTS))).toEqual([])
})

describe.each(Object.keys(RIGHTS))('the rights of %s', (command) => {
  const rights = RIGHTS[command] ?? []

  it('are words that ACL SETUSER takes', () => {
    for (const {word} of rights) expect(word).toMatch(/^(\+@?[a-z]+([-|][a-z]+)*|~\*)$/)
  })

  it('begin with what every command asks', () => {
    expect(rights.slice(0, 4).map(({word}) => word)).toEqual([
      '+cluster|myid',
      '+cluster|nodes',
      '+cluster|info',
      '+info',
    ])
  })
})

describe('rights of several commands', () => {
  const find = (commands: readonly string[], word: string) => uniteRights(commands).filter((one) => one.word === word)

  it('are each word once, keys last', () => {
    const words = uniteRights(Object.keys(RIGHTS)).map(({word}) => word)
    expect(new Set(words).size).toBe(words.length)
    expect(words.at(-1)).toBe('~*')
  })

  it('are needed when one of them needs it', () => {
    expect(find(['add-node'], '+migrate')).toMatchObject([{isOnlyFor: '--rebalance'}])
    expect(find(['add-node', 'reshard'], '+migrate')).toEqual([{word: '+migrate'}])
    expect(find(['reshard', 'add-node'], '+migrate')).toEqual([{word: '+migrate'}])
  })

  it('tell all that an optional word is for', () => {
    const [right] = find(['create', 'del-node'], '+ping')
    expect(right?.isOnlyFor).toBe(
      '--replicas; waiting for a node that is busy; giving way when a node answers its clients late',
    )
    expect(find(['reshard', 'rebalance'], '+type')).toEqual(find(['reshard'], '+type'))
  })

  it('keep seldom needed words in the rule', () => {
    expect(find(['reshard', 'fix'], '+dump')).toMatchObject([{when: 'a run that was cut off left keys on both sides'}])
  })
})

test('the line makes a user that hears no channel', () => {
  expect(ruleLine('ops', ['+info', '~*'])).toBe('ACL SETUSER ops on >PASSWORD resetchannels +info ~*')
})
