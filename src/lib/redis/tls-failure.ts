/** What is wrong with a certificate, in words, and what can be done about it? Pure. */

export interface TlsFailure {
  /** Goes on after "TLS to HOST:PORT failed: ". */
  readonly text: string
  readonly suggestions: readonly string[]
}

type Reason = Error & {readonly code?: string; readonly host?: string; readonly cert?: {subjectaltname?: string}}

const GIVE_CERTIFICATE = 'Give a client certificate that the server trusts, with its key: --cert and --key'
const GO_ON = 'To go on all the same, with whoever answers there: --insecure'

const NOT_SIGNED_HERE: TlsFailure = {
  text: "no authority known here has signed the server's certificate",
  suggestions: [
    'Name the file of the authority that signed it with --cacert, its folder with --cacertdir',
    'Authorities in between, which the server should send, may stand in that file as well',
  ],
}

/** By the codes of X.509 verification as Node tells them (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const BY_CODE: Readonly<Record<string, TlsFailure>> = {
  CERT_HAS_EXPIRED: {
    text: "the server's certificate, or one that signed it, has expired",
    suggestions: ['Renew it on the server', GO_ON],
  },
  CERT_NOT_YET_VALID: {
    text: "the server's certificate, or one that signed it, is not valid yet",
    suggestions: ['Compare the clocks of both machines', GO_ON],
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    text: "the server's certificate is signed by nobody but itself",
    suggestions: ['If you know it for the right one, trust it: --cacert with a file of that very certificate'],
  },
  SELF_SIGNED_CERT_IN_CHAIN: NOT_SIGNED_HERE,
  UNABLE_TO_GET_ISSUER_CERT: NOT_SIGNED_HERE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_SIGNED_HERE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_SIGNED_HERE,
  CERT_SIGNATURE_FAILURE: {
    text: "the server's certificate is not signed by the authority of that name that is known here",
    suggestions: NOT_SIGNED_HERE.suggestions,
  },
  INVALID_CA: {
    text: "the server's certificate is signed with one that may not sign others",
    suggestions: ['Have it signed by an authority (basicConstraints CA:TRUE)', GO_ON],
  },
  INVALID_PURPOSE: {
    text: "the server's certificate is not one for servers",
    suggestions: ['Have one made whose extendedKeyUsage has serverAuth', GO_ON],
  },
}

/**
 * By those codes, and by the alerts that a server sends (RFC 8446, section 6.2). What is none of them is told in OpenSSL's
 * words. `hasCertificate`: we sent one.
 */
export function tlsFailure(reason: Reason, {hasCertificate}: {readonly hasCertificate: boolean}): TlsFailure {
  const known = BY_CODE[reason.code ?? '']
  if (known) return known
  if (reason.code === 'ERR_TLS_CERT_ALTNAME_INVALID') return wrongName(reason)
  const text = reason.message
  if (/certificate required/i.test(text) || (!hasCertificate && /handshake failure/i.test(text))) {
    return {text: 'the server wants a certificate of ours', suggestions: [GIVE_CERTIFICATE]}
  }
  if (/handshake failure|insufficient security/i.test(text)) {
    return {
      text: 'the two sides have no cipher in common, or the server does not accept our certificate',
      suggestions: ['Compare --tls-ciphers and --tls-ciphersuites with the settings of these names on the server'],
    }
  }
  if (/alert unknown ca/i.test(text)) {
    return {text: 'the server knows no authority that signed our certificate', suggestions: [GIVE_CERTIFICATE]}
  }
  if (/alert certificate expired/i.test(text)) {
    return {text: 'our certificate has expired', suggestions: [GIVE_CERTIFICATE]}
  }
  if (/bad certificate|certificate (revoked|unknown)|unsupported certificate/i.test(text)) {
    return {text: 'the server does not accept our certificate', suggestions: [GIVE_CERTIFICATE]}
  }
  if (/wrong version number|packet length too long|unexpected message/i.test(text)) {
    return {text: 'what answers there does not speak TLS', suggestions: ['Leave --tls out']}
  }
  if (/unsupported protocol|protocol version|no protocols available/i.test(text)) {
    return {text: 'the two sides have no version of TLS in common', suggestions: ['Let the server take TLS 1.2 or 1.3']}
  }
  return {text, suggestions: []}
}

function wrongName({host, cert}: Reason): TlsFailure {
  const names = cert?.subjectaltname?.replace(/\b(DNS|IP Address):/g, '')
  return {
    text: `the server's certificate is for ${names || 'no name'}, not for ${host}`,
    suggestions: [
      'Name the node as its certificate does, or give that name with --sni',
      'If any server that its authority signed for will do: --tls-verify chain',
    ],
  }
}
