import {expect, test} from 'vitest'
import {connectionFlags, list, lockFlags, outputFlags, positiveInteger} from '../../src/lib/cli/flags.ts'
import {sourceFlags} from '../../src/lib/cli/import-source.ts'
import {lockOwner, publicWords} from '../../src/lib/cli/lock-owner.ts'

const flags = {...outputFlags, ...connectionFlags, ...sourceFlags, ...lockFlags, from: list(), slots: positiveInteger()}

test.each([
  {
    argv: ['10.0.0.1', '--from', 'a,b', '--slots=12', '--take-lock'],
    told: '10.0.0.1 --from a,b --slots=12 --take-lock',
  },
  {argv: ['-a', 'sekret', '10.0.0.1'], told: '10.0.0.1'},
  {argv: ['-asekret', '10.0.0.1'], told: '10.0.0.1'},
  {argv: ['-qa', 'sekret', '10.0.0.1'], told: '10.0.0.1'},
  {argv: ['--password=sekret', '--password', 'sekret', '--pass', 'sekret', '10.0.0.1'], told: '10.0.0.1'},
  {argv: ['--user', 'sekret', '--password-file', 'sekret', '10.0.0.1'], told: '10.0.0.1'},
  {argv: ['--from-password', 'sekret', '--from-user=sekret', '10.0.0.1'], told: '10.0.0.1'},
  {argv: ['--seed', 'redis://sekret@10.0.0.2', '10.0.0.1'], told: '10.0.0.1'},
  {
    argv: ['rediss://ada:sek/r@et@10.0.0.1:7000', '--from', 'redis://:sekret@b'],
    told: 'rediss://10.0.0.1:7000 --from redis://b',
  },
  {argv: ['--json', '--quiet', '-q', '10.0.0.1'], told: '10.0.0.1'},
])('of $argv others see: $told', ({argv, told}) => {
  expect(publicWords(argv, flags as never)).toBe(told)
})

test('who is at work is told by host, user and process', () => {
  expect(lockOwner('rcluster fix', {})).toMatchObject({
    host: expect.stringMatching(/./),
    user: expect.stringMatching(/./),
    pid: process.pid,
    since: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    command: 'rcluster fix',
  })
})
