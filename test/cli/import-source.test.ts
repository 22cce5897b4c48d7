import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {atSource, sourceConnection} from '../../src/lib/cli/import-source.ts'
import {parseAddressReference} from '../../src/lib/cli/node-argument.ts'
import {NodeError} from '../../src/lib/errors.ts'
import type {ConnectionOptions} from '../../src/lib/redis/connection-options.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-source-'))
const pem = (name: string): string => {
  const file = path.join(folder, name)
  writeFileSync(file, `-----BEGIN CERTIFICATE-----\n${name}\n`)
  return file
}
afterAll(() => rmSync(folder, {recursive: true, force: true}))

const connect = (
  flags: Parameters<typeof sourceConnection>[0],
  from = '10.0.0.9',
  env: Readonly<Record<string, string>> = {},
) => sourceConnection(flags, parseAddressReference(from), undefined, env)

/** As AUTH gets them. */
const wordsOf = ({logins}: ConnectionOptions): string[] | undefined => logins?.at([]).login?.authWords()

describe('the way to the source', () => {
  it('knows no password but its own', () => {
    const env = {RCLUSTER_PASSWORD: 'a', REDISCLI_AUTH: 'b', VALKEYCLI_AUTH: 'c'}
    expect(
      wordsOf(connect({password: 'd', user: 'admin', credentials: '/no/such/file'}, undefined, env)),
    ).toBeUndefined()
    expect(wordsOf(connect({}, undefined, {...env, RCLUSTER_FROM_PASSWORD: 'own'}))).toEqual(['own'])
    expect(wordsOf(connect({}, 'redis://reader:url@h', {RCLUSTER_FROM_PASSWORD: 'own'}))).toEqual(['reader', 'url'])
    const flags = {'from-password': 'flag', 'from-user': 'u'}
    expect(wordsOf(connect(flags, 'redis://reader:url@h'))).toEqual(['u', 'flag'])
  })

  it('has TLS where it is asked for, with its own certificates or those of the cluster', () => {
    const [cluster, own] = [pem('cluster'), pem('own')]
    const caOf = (flags: Parameters<typeof connect>[0], from?: string) =>
      connect(flags, from).tls?.ca?.map((ca) => ca.toString().split('\n')[1])
    expect(connect({tls: true, cacert: cluster}).tls).toBeUndefined()
    expect(caOf({'from-tls': true, cacert: cluster})).toEqual(['cluster'])
    expect(caOf({cacert: cluster}, 'rediss://h')).toEqual(['cluster'])
    expect(caOf({cacert: cluster, 'from-cacert': own})).toEqual(['own'])
    expect(connect({'from-insecure': true}).tls?.isInsecure).toBe(true)
  })

  it('is spoken of in the words of its flags', () => {
    expect(() => connect({'from-user': 'reader'})).toThrow('there is no password for the user "reader"')
    expect(() => connect({'from-password-file': '/nowhere/at/all'})).toThrow('--from-password-file /nowhere/at/all')
    const error = atSource(new NodeError('auth', 'h:1', 'h:1 answered: NOAUTH'), connect({}))
    expect(error.suggestions).toEqual(['Set RCLUSTER_FROM_PASSWORD, or give --from-password-file or --from-askpass'])
  })
})
