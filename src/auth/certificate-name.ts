import { X509Certificate } from 'node:crypto'

/** Whether a client certificate is for the user (method `cert`). `reason` is for the log. */
export type CertificateNameVerdict = { readonly kind: 'match' } | { readonly kind: 'mismatch'; readonly reason: string }

/**
 * Whether the common name in the subject of `certificate` (DER, already verified against the CA by TLS; null if the
 * client sent none) is exactly `user`. Stricter than PostgreSQL where a subject has several common names: it takes
 * the first, here none counts. https://www.postgresql.org/docs/current/auth-cert.html
 */
export function checkCertificateName(certificate: Buffer | null, user: string): CertificateNameVerdict {
  if (certificate === null) return mismatch('the client sent no certificate')
  const names = commonNames(certificate)
  if (names === null) return mismatch('the client certificate cannot be read')
  const [name, ...others] = names
  if (name === undefined) return mismatch('the client certificate has no common name')
  if (others.length > 0) return mismatch('the client certificate has more than one common name')
  if (name !== user) {
    return mismatch(`the client certificate is for ${JSON.stringify(name)}, not for user ${JSON.stringify(user)}`)
  }
  return { kind: 'match' }
}

/** What the subject's CN attributes say, or null if these are not the bytes of a certificate. */
function commonNames(certificate: Buffer): readonly string[] | null {
  let subject: unknown
  try {
    subject = new X509Certificate(certificate).toLegacyObject().subject
  } catch {
    return null
  }
  const name: unknown = typeof subject === 'object' && subject !== null && 'CN' in subject ? subject.CN : []
  return (Array.isArray(name) ? name : [name]).filter((text) => typeof text === 'string')
}

function mismatch(reason: string): CertificateNameVerdict {
  return { kind: 'mismatch', reason }
}
