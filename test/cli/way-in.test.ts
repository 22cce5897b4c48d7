import {expect, test} from 'vitest'
import {parseAddressReference} from '../../src/lib/cli/node-argument.ts'
import {wayIn} from '../../src/lib/cli/way-in.ts'

const refer = (...texts: string[]) => texts.map((text) => parseAddressReference(text))

test('what reached the cluster is repeated as it was said', () => {
  const flags = {user: 'ops', 'password-file': '/run/my secret', tls: true, cacert: 'ca.pem', insecure: false}
  expect(wayIn(flags, undefined, [])).toBe("--user ops --password-file '/run/my secret' --tls --cacert ca.pem")
  expect(wayIn({'address-map': ['10.0.0.1=127.0.0.1', '*:7000=host:1']}, undefined, [])).toBe(
    "--address-map 10.0.0.1=127.0.0.1 --address-map '*:7000=host:1'",
  )
})

test('nothing is said where the addresses are enough', () => {
  const flags = {tls: false, askpass: false, 'connect-timeout': 3000, 'command-timeout': 5000, remember: true}
  expect(wayIn(flags, undefined, refer('127.0.0.1:7000', 'redis://127.0.0.1:7001'))).toBe('')
})

test('a context in use is named, however it was chosen, and what the line says besides', () => {
  expect(wayIn({}, 'prod', refer('10.0.0.1:6379'))).toBe('--context prod')
  expect(wayIn({context: 'prod', user: 'ops'}, 'prod', [])).toBe('--context prod --user ops')
  expect(wayIn({context: 'none'}, undefined, [])).toBe('--context none')
})

test('secrets are asked for, never shown', () => {
  for (const flags of [{password: 'sesame'}, {askpass: true}, {'password-file': '-'}]) {
    expect(wayIn(flags, undefined, [])).toBe('--askpass')
  }
  expect(wayIn({}, undefined, refer('rediss://ops:sesame@10.0.0.1:6379'))).toBe('--user ops --tls --askpass')
  expect(wayIn({credentials: '-'}, undefined, [])).toBe('--credentials -')
})
