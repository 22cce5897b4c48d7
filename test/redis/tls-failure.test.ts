import {describe, expect, test} from 'vitest'
import {tlsFailure} from '../../src/lib/redis/tls-failure.ts'

const told = (message: string, code?: string, hasCertificate = false): string => {
  const reason = Object.assign(new Error(message), code === undefined ? {} : {code})
  const {text, suggestions} = tlsFailure(reason, {hasCertificate})
  return [text, ...suggestions].join('\n')
}

describe('what OpenSSL says comes with the flag that helps', () => {
  test.each<{name: string; message: string; code?: string; hasCertificate?: boolean; says: RegExp}>([
    {name: 'an old certificate', message: 'x', code: 'CERT_HAS_EXPIRED', says: /expired\nRenew/},
    {name: 'one of tomorrow', message: 'x', code: 'CERT_NOT_YET_VALID', says: /not valid yet\n.*clocks/},
    {name: 'no issuer', message: 'x', code: 'UNABLE_TO_GET_ISSUER_CERT', says: /no authority.*\n.*--cacert/},
    {
      name: 'another key',
      message: 'x',
      code: 'CERT_SIGNATURE_FAILURE',
      says: /that name that is known here\n.*--cacert/,
    },
    {name: 'a signer that may not sign', message: 'x', code: 'INVALID_CA', says: /may not sign others\n/},
    {name: 'a certificate for clients', message: 'x', code: 'INVALID_PURPOSE', says: /not one for servers\n/},
    {
      name: 'no client certificate, TLS 1.3',
      message: 'ssl3_read_bytes:tlsv13 alert certificate required:SSL alert number 116',
      says: /wants a certificate of ours\n.*--cert and --key/,
    },
    {
      name: 'no client certificate, TLS 1.2',
      message: 'sslv3 alert handshake failure:SSL alert number 40',
      says: /wants a certificate of ours\n/,
    },
    {
      name: 'nothing in common',
      message: 'sslv3 alert handshake failure:SSL alert number 40',
      hasCertificate: true,
      says: /no cipher in common.*\n.*--tls-ciphers/,
    },
    {
      name: 'our authority is unknown there',
      message: 'tlsv1 alert unknown ca:SSL alert number 48',
      hasCertificate: true,
      says: /knows no authority that signed our certificate\n.*--cert/,
    },
    {
      name: 'our certificate is old',
      message: 'sslv3 alert certificate expired:SSL alert number 45',
      hasCertificate: true,
      says: /our certificate has expired\n.*--cert/,
    },
    {
      name: 'our certificate is bad',
      message: 'sslv3 alert bad certificate:SSL alert number 42',
      hasCertificate: true,
      says: /does not accept our certificate\n/,
    },
    {name: 'no TLS there', message: 'ssl3_get_record:wrong version number', says: /does not speak TLS\n.*--tls out/},
    {name: 'an old server', message: 'tlsv1 alert protocol version', says: /no version of TLS in common\n/},
    {name: 'what nobody has foreseen', message: 'something new', says: /^something new$/},
  ])('$name', ({message, code, hasCertificate, says}) => expect(told(message, code, hasCertificate)).toMatch(says))
})
