/** Folders are made as asked, or the call fails; it never goes on without end, as Node's own does below /proc. */
import {mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {makeFolder} from '../../src/lib/make-folder.ts'

let base = ''
beforeEach(() => {
  base = mkdtempSync(path.join(os.tmpdir(), 'rcluster-folders-'))
})
afterEach(() => rmSync(base, {recursive: true, force: true}))

describe('makeFolder', () => {
  test('makes what is missing, with the mode, and says whether there was anything to make', () => {
    const folder = path.join(base, 'a', 'b', 'c')
    expect(makeFolder(folder, 0o700)).toBe(true)
    for (const made of [folder, path.dirname(folder)]) expect(statSync(made).mode & 0o777).toBe(0o700)
    expect(makeFolder(folder, 0o700)).toBe(false)
  })

  test('takes a link to a folder for the folder', () => {
    mkdirSync(path.join(base, 'real'))
    symlinkSync('real', path.join(base, 'link'))
    expect(makeFolder(path.join(base, 'link'), 0o700)).toBe(false)
    expect(makeFolder(path.join(base, 'link', 'below'), 0o700)).toBe(true)
  })

  test('fails where a file is in the way, or a link that leads nowhere', () => {
    writeFileSync(path.join(base, 'file'), '')
    symlinkSync('nothing', path.join(base, 'dangling'))
    for (const name of ['file', 'file/below', 'dangling', 'dangling/below'])
      expect(() => makeFolder(path.join(base, name), 0o700), name).toThrow()
  })

  test.runIf(process.platform === 'linux')('fails below a folder that says ENOENT to everything', () => {
    for (const name of ['/proc/nowhere', '/proc/nowhere/at/all'])
      expect(() => makeFolder(name, 0o700)).toThrow('ENOENT')
  })
})
