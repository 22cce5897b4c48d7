/** What is remembered between runs is the user's alone, and is never read where somebody else may have written it. */
import {chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {knownAddresses, readKnownClusters, rememberNodes} from '../../src/lib/state/known-addresses.ts'
import {stateFolder} from '../../src/lib/state/state-folder.ts'

let folder = ''
const tmpBefore = process.env['TMPDIR']
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-state-'))
})
afterEach(() => {
  if (tmpBefore === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = tmpBefore
  rmSync(folder, {recursive: true, force: true})
})

const modeOf = (file: string): number => statSync(file).mode & 0o777

describe('the state folder', () => {
  test('is the user’s alone, whatever the umask', () => {
    const umask = process.umask(0)
    try {
      expect(modeOf(stateFolder({XDG_STATE_HOME: path.join(folder, 'a')}))).toBe(0o700)
      expect(modeOf(stateFolder({HOME: path.join(folder, 'b')}))).toBe(0o700)
    } finally {
      process.umask(umask)
    }
  })

  describe('where there is no home', () => {
    // A file where the folder would be: nothing can be created below it, not even by root.
    const homeless = (): NodeJS.ProcessEnv => {
      writeFileSync(path.join(folder, 'file'), '')
      process.env['TMPDIR'] = folder
      return {HOME: path.join(folder, 'file')}
    }
    const own = (): string => path.join(folder, `rcluster-${os.userInfo().uid}`)

    test('is one in the temporary folder', () => {
      expect(stateFolder(homeless())).toBe(own())
      expect(modeOf(own())).toBe(0o700)
    })

    test('is not one that others can write to', () => {
      const env = homeless()
      mkdirSync(own())
      chmodSync(own(), 0o777)
      expect(() => stateFolder(env)).toThrow(/is not this user's alone/)
    })

    test('is not a link to a folder elsewhere', () => {
      const env = homeless()
      mkdirSync(path.join(folder, 'elsewhere'), {mode: 0o700})
      symlinkSync(path.join(folder, 'elsewhere'), own())
      expect(() => stateFolder(env)).toThrow(/is not this user's alone/)
    })
  })
})

describe('remembered addresses', () => {
  const id = 'a'.repeat(40)
  const found = {
    mapped: [{id, address: {host: '127.0.0.1', port: 7000}, announced: {host: '10.0.0.1', port: 6379}}],
    direct: [],
    members: new Set([id]),
  }

  test('are the user’s alone, and leave nothing half-written behind', () => {
    const env = {XDG_STATE_HOME: folder}
    const file = rememberNodes(env, found, new Date(0))
    expect(modeOf(file as string)).toBe(0o600)
    expect(readdirSync(stateFolder(env))).toEqual([path.basename(file as string)])
    expect(knownAddresses(env)).toEqual(new Map([[id, {host: '127.0.0.1', port: 7000}]]))
  })

  test.each([
    '',
    '{',
    'null',
    '[]',
    '{"version":1}',
    '{"version":1,"nodes":null}',
    `{"version":1,"nodes":[null]}`,
    `{"version":1,"nodes":[{"id":"${id}"}]}`,
    `{"version":1,"nodes":[{"id":"${id}","dialled":{"host":1,"port":1},"announced":{"host":"a","port":1}}]}`,
    `{"version":1,"nodes":[{"id":"\\u001b[2J","dialled":{"host":"a","port":1},"announced":{"host":"a","port":1}}]}`,
    `{"version":1,"nodes":[{"id":"${id}","dialled":{"host":"\\u001b[2J","port":1},"announced":{"host":"a","port":1}}]}`,
    `{"version":1,"savedAt":{},"nodes":[{"id":"${id}","dialled":{"host":"a","port":1},"announced":{"host":"a","port":1}}]}`,
    `{"version":2,"nodes":[]}`,
  ])('are passed over when damaged: %s', (text) => {
    const env = {XDG_STATE_HOME: folder}
    writeFileSync(path.join(stateFolder(env), 'addresses-00.json'), text)
    expect(readKnownClusters(env)).toEqual([])
    expect(rememberNodes(env, found, new Date(0))).toBeDefined()
    expect(knownAddresses(env).size).toBe(1)
  })
})
