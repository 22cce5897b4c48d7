import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeEach, describe, expect, test} from 'vitest'
import {UsageError} from '../../src/lib/errors.ts'
import {requireReportFile, writeReportFile} from '../../src/lib/state/report-file.ts'
import {parseMarkup} from '../support/markup.ts'

const root = mkdtempSync(path.join(os.tmpdir(), 'rcluster-report-'))
afterAll(() => rmSync(root, {recursive: true, force: true}))
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(path.join(root, 'case-'))
})
const at = (name: string): string => path.join(folder, name)
const PAGE = '<!DOCTYPE html>\n<html><body>new</body></html>\n'

describe('a report file', () => {
  test('is written whole, readable by all, and nothing else is left', () => {
    writeReportFile('--html', at('r.html'), PAGE, false)
    expect(readdirSync(folder)).toEqual(['r.html'])
    expect(statSync(at('r.html')).mode & 0o777 & ~0o022).toBe(0o644)
    expect(parseMarkup(readFileSync(at('r.html'), 'utf8')).text.trim()).toBe('new')
  })

  test('is replaced by a newer one', () => {
    writeReportFile('--html', at('r.html'), PAGE.replace('new', 'old'), false)
    writeReportFile('--html', at('r.html'), PAGE, false)
    expect(readFileSync(at('r.html'), 'utf8')).toContain('new')
  })

  test('does not replace another file, unless that is wanted', () => {
    writeFileSync(at('r.html'), '<html>my thesis</html>')
    expect(() => writeReportFile('--html', at('r.html'), PAGE, false)).toThrow(/no report of rcluster/)
    expect(readFileSync(at('r.html'), 'utf8')).toContain('thesis')
    writeReportFile('--html', at('r.html'), PAGE, true)
    expect(readFileSync(at('r.html'), 'utf8')).toContain('new')
  })

  test('may take the place of an empty file', () => {
    writeFileSync(at('r.html'), '')
    expect(() => requireReportFile('--html', at('r.html'), false)).not.toThrow()
  })

  test.each([
    {name: 'no folder', message: /there is no folder/, make: () => path.join(folder, 'none', 'r.svg')},
    {
      name: 'a folder of that name',
      message: /is no file/,
      make: () => {
        mkdirSync(at('r.svg'))
        return at('r.svg')
      },
    },
    {
      name: 'a link',
      message: /is no file/,
      make: () => {
        symlinkSync('/etc/passwd', at('r.svg'))
        return at('r.svg')
      },
    },
    {
      name: 'a file for a folder',
      message: /there is no folder|ENOTDIR/,
      make: () => {
        writeFileSync(at('x'), 'x')
        return path.join(at('x'), 'r.svg')
      },
    },
    {name: 'no name', message: /names no file/, make: () => ''},
    {name: 'a name that no file may have', message: /--svg/, make: () => at('a\0b')},
  ])('is refused before the work, with or without --yes: $name', ({make, message}) => {
    const file = make()
    for (const isReplacing of [false, true]) {
      expect(() => requireReportFile('--svg', file, isReplacing)).toThrow(UsageError)
      expect(() => requireReportFile('--svg', file, isReplacing)).toThrow(message)
    }
  })
})
