import { openssl, takeErrors } from './openssl.ts'
import { commonName, shownNames, subjectName } from './tls-certificates.ts'
import type { TlsRole } from './tls-context.ts'

const X509_V_OK = 0
const X509_V_ERR_HOSTNAME_MISMATCH = 62
const X509_V_ERR_IP_ADDRESS_MISMATCH = 64

/** What OpenSSL's shortest reasons mean here. Every other reason is given as it is. */
const explanations: Readonly<Record<string, string>> = {
  'wrong version number': 'what arrived is not TLS',
  'packet length too long': 'what arrived is not TLS',
  'http request': 'what arrived is HTTP',
  'https proxy request': 'what arrived is HTTP',
  'unsupported protocol': 'it offers no TLS version that is allowed here',
  'no shared cipher': 'it offers no AEAD cipher suite',
  'peer did not return a certificate': 'a client certificate is required',
  'no application protocol': 'it offers ALPN, but not the protocol that is spoken here',
}

/**
 * Why OpenSSL gave a connection up, as a sentence. Takes everything out of the error queue.
 * @param name what the server was expected to be called, where that is checked
 */
export function describeTlsFailure(ssl: number, role: TlsRole, name: string | undefined): string {
  const peer = role === 'server' ? 'client' : 'server'
  const reasons = takeErrors()
  const verdict = openssl.SSL_get_verify_result(ssl)
  if (reasons.includes('certificate verify failed') && verdict !== X509_V_OK) {
    return `The ${peer}'s certificate was refused: ${describeVerdict(ssl, verdict, name)}.`
  }
  for (const reason of reasons) {
    // The alerts of RFC 8446 keep the name of the version that brought them: "tlsv1 alert unknown ca".
    const alert = /^(?:ssl\/tls|sslv3|tlsv1|tlsv13) (?:alert )?(.+)$/.exec(reason)?.[1]
    if (alert !== undefined) return `The ${peer} ended the TLS connection with the alert "${alert}".`
  }
  if (reasons.length === 0) return `TLS with the ${peer} failed, and OpenSSL gives no reason.`
  const known = reasons.map((reason) => explanations[reason]).find((text) => text !== undefined)
  return `TLS with the ${peer} failed: ${reasons.join('; ')}${known === undefined ? '' : ` (${known})`}.`
}

function describeVerdict(ssl: number, verdict: number, name: string | undefined): string {
  const text = openssl.X509_verify_cert_error_string(verdict)
  const chain = openssl.SSL_get_peer_cert_chain(ssl)
  if (chain === 0 || openssl.OPENSSL_sk_num(chain) < 1) return text
  const certificate = openssl.OPENSSL_sk_value(chain, 0)
  if (verdict === X509_V_ERR_HOSTNAME_MISMATCH || verdict === X509_V_ERR_IP_ADDRESS_MISMATCH) {
    return `${text}: it is for ${shownNames(certificate)}, not for ${name}`
  }
  return `${text} (${commonName(certificate) ?? subjectName(certificate)})`
}
