/** What is wrong with a certificate, in words, and what can be done about it? Pure. */

export interface TlsFailure {
  /** Goes on after "TLS to HOST:PORT failed: ". */
  readonly text: string
  readonly suggestions: readonly string[]
}

const NAME_AUTHORITY = 'Name the file of the authority that signed it with --cacert, its folder with --cacertdir'
const GIVE_CERTIFICATE = 'Give a client certificate that the server trusts, with its key: --cert and --key'

/**
 * By the codes of X.509 verification as Node tells them (https://nodejs.org/api/tls.html#x509-certificate-error-codes), and by
 * the alerts that a server sends (RFC 8446, section 6.2). What is none of them is told in OpenSSL's words.
 */
export function tlsFailure(
  reason: Error & {code?: string; host?: string; cert?: {subjectaltname?: string}},
): TlsFailure {
  const text = reason.message
  switch (reason.code) {
    case 'CERT_HAS_EXPIRED':
      return {
        text: "the server's certificate, or one that signed it, has expired",
        suggestions: ['Renew it on the server'],
      }
    case 'CERT_NOT_YET_VALID':
      return {
        text: "the server's certificate, or one that signed it, is not valid yet",
        suggestions: ['Compare the clocks of both machines'],
      }
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return {text: "the server's certificate is signed by nobody but itself", suggestions: [NAME_AUTHORITY]}
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return {text: "no authority known here has signed the server's certificate", suggestions: [NAME_AUTHORITY]}
    case 'CERT_SIGNATURE_FAILURE':
      return {
        text: "the server's certificate is not signed by the authority that it names",
        suggestions: [NAME_AUTHORITY],
      }
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return {
        text: `the server's certificate is for ${reason.cert?.subjectaltname?.replace(/\b(DNS|IP Address):/g, '') || 'another name'}, not for ${reason.host}`,
        suggestions: ['Give a name that it is for with --sni, or name the node so'],
      }
    default:
      break
  }
  if (/certificate required|handshake failure/i.test(text)) {
    return {text: 'the server wants a certificate of ours', suggestions: [GIVE_CERTIFICATE]}
  }
  if (/unknown ca|bad certificate|certificate (expired|revoked|unknown)|unsupported certificate/i.test(text)) {
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
