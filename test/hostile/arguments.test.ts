/** Any words after any command: it ends at once, with words that make sense, and never by falling over. */
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {captureRuns, commandIds, runWithin} from '../support/in-process.ts'

const TIMES = Number(process.env['RCLUSTER_TEST_FUZZ'] ?? 1)
/** In CI always the same words: what is new is looked for where somebody looks at it. */
const SEEDED = process.env['CI'] && TIMES === 1 ? {seed: 4711} : {}
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-words-'))
const cwd = process.cwd()
afterAll(() => {
  process.chdir(cwd)
  rmSync(folder, {recursive: true, force: true})
})
beforeAll(() => {
  process.env['XDG_STATE_HOME'] = folder
  process.env['XDG_CONFIG_HOME'] = folder
  process.env['NO_COLOR'] = '1'
  // Nothing listens there; what is written goes to a folder of ours.
  process.env['RCLUSTER_SEED'] = '127.0.0.1:1'
  process.chdir(folder)
  captureRuns()
})

const SECRET = 'hunter2'
const word = fc.oneof(
  fc.constantFrom(
    ...['127.0.0.1:1', '127.0.0.1:2', '[::1]:1', 'redis://127.0.0.1:1', `redis://u:${SECRET}@127.0.0.1:1`, '07c37dfe'],
    ...[
      '--yes',
      '--dry-run',
      '--json',
      '--quiet',
      '--verbose',
      '--seed',
      '--slots',
      '--from',
      '--to',
      'all',
      '--drain',
    ],
    ...[
      '--timeout',
      '300ms',
      '--weight',
      'a=1',
      '--out',
      'plan.json',
      '--address-map',
      '*=127.0.0.1',
      '--for',
      'agreed',
    ],
    ...[
      '--replicas',
      '1',
      '-1',
      '1e9',
      '',
      ' ',
      '--',
      '-',
      '__proto__',
      'constructor',
      `--password=${SECRET}`,
      '--no-such',
    ],
  ),
  // No system hands over an argument with a NUL in it.
  fc.string({unit: 'binary', maxLength: 10}).map((text) => text.replaceAll('\0', '')),
)

test.each(commandIds.filter((id) => !/^(local|drop-in):/.test(id)))('rcluster %s', async (id) => {
  await fc.assert(
    fc.asyncProperty(fc.array(word, {maxLength: 7}), async (words) => {
      const argv = [id, ...words, '--connect-timeout', '200ms', '--command-timeout', '200ms']
      const {code, stdout, stderr} = await runWithin(5000, id === 'wait' ? [...argv, '--timeout', '200ms'] : argv)
      const told = `${stdout}\n${stderr}`
      expect(code, `${JSON.stringify(words)}\n${told}`).not.toBe(70)
      expect(told).not.toMatch(/unexpected fault|\n\s+at .*:\d+:\d+|[\x00-\x08\x0b-\x1f\x7f-\x9f]/)
      expect(told).not.toContain(SECRET)
      if (words.includes('--json') && code !== 0 && stdout !== '') expect(JSON.parse(stdout)).toBeTypeOf('object')
    }),
    {numRuns: 25 * TIMES, ...SEEDED},
  )
})

test.each([
  ['acl:set', 'app', '-auth', '+get'],
  ['acl:set', 'app', '+get', '-@dangerous'],
])('a rule with a dash in front is never taken for a flag: %s %s %s %s', async (...argv) => {
  const {code, stdout, stderr} = await runWithin(5000, argv)
  expect({code, stdout}).toEqual({code: 2, stdout: ''})
  expect(stderr).toContain('words with a dash in front stand behind "--"')
  expect(stderr).toContain('rcluster acl set app on +@read -- -@dangerous')
})
