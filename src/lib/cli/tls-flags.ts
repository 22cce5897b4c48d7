/** What of TLS do the flags ask for? Reads the files that they name, and finds out here what no server need be asked for. */

import {createSecureContext, DEFAULT_CIPHERS} from 'node:tls'
import type {InferredFlags} from '@oclif/core/interfaces'
import {UsageError} from '../errors.ts'
import type {TlsOptions} from '../redis/tls-options.ts'
import {readAuthorities, readCertificate} from './credentials.ts'
import type {connectionFlags} from './flags.ts'

type TlsFlags = Partial<InferredFlags<typeof connectionFlags>>

/** Does one of them say that there is TLS? */
export function isTlsAsked(flags: TlsFlags): boolean {
  const {cacert, cacertdir, cert, sni, 'tls-verify': verify, 'tls-ciphers': ciphers} = flags
  const said = [cacert, cacertdir, cert, sni, verify, ciphers, flags['tls-ciphersuites']]
  return flags.tls === true || flags.insecure === true || said.some((value) => value !== undefined)
}

/** @throws UsageError naming the flag and the file. */
export function tlsOptionsFrom(flags: TlsFlags): TlsOptions {
  const {cacert, cacertdir, cert, key, sni, insecure} = flags
  const options = {
    ca: readAuthorities(cacert, cacertdir),
    cert: cert === undefined ? undefined : readCertificate(cert, '--cert'),
    key: key === undefined ? undefined : readKey(key),
    servername: sni,
    verify: flags['tls-verify'] ?? 'names',
    isInsecure: insecure ?? false,
    ciphers: ciphersFrom(flags['tls-ciphersuites'], flags['tls-ciphers']),
  }
  requireUsable(options, `--cert ${cert} and --key ${key}`)
  return options
}

function readKey(file: string): Buffer {
  const key = readCertificate(file, '--key', 'PRIVATE KEY')
  if (/ENCRYPTED/.test(key.toString())) {
    throw new UsageError(`--key ${file} is encrypted with a passphrase`, {
      suggestions: [`Give one that is not: openssl pkey -in ${file} -out FILE`],
    })
  }
  return key
}

/** As with OpenSSL, what is not said stays as it is. Node takes both in one list, and what is missing there is turned off. */
function ciphersFrom(suites: string | undefined, ciphers: string | undefined): string | undefined {
  if (suites === undefined && ciphers === undefined) return undefined
  const usual = (isSuite: boolean): string =>
    DEFAULT_CIPHERS.split(':')
      .filter((one) => one.startsWith('TLS_') === isSuite)
      .join(':')
  return `${suites ?? usual(true)}:${ciphers ?? usual(false)}`
}

function requireUsable({cert, key, ciphers}: TlsOptions, names: string): void {
  try {
    if (ciphers !== undefined) createSecureContext({ciphers})
  } catch (error) {
    throw new UsageError('--tls-ciphers and --tls-ciphersuites name no cipher that is known here', {
      suggestions: ['Lists are separated by colons: --tls-ciphersuites TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256'],
      cause: error,
    })
  }
  if (cert === undefined || key === undefined) return
  try {
    createSecureContext({cert, key})
  } catch (error) {
    const {code, message} = error as NodeJS.ErrnoException
    const why =
      code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
        ? 'do not belong together'
        : `cannot be used: ${message.replace(/^error:[0-9A-F]+:/, '')}`
    throw new UsageError(`${names} ${why}`, {cause: error})
  }
}
