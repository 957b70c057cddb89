import { X509Certificate } from 'node:crypto'
import { ConfigError } from '../errors.ts'
import { NativeBuffer } from './native.ts'
import { clearErrors, copyMemory, openssl, takeErrors } from './openssl.ts'

const NID_UNDEFINED = 0
const NID_COMMON_NAME = 13
const NID_MD5 = 4
const NID_SHA1 = 64
const EVP_MAX_MD_SIZE = 64
const BIO_CTRL_INFO = 3
/** XN_FLAG_RFC2253, as PostgreSQL prints a distinguished name for `clientname=DN`. */
const RFC2253_NAME = 0x01110317

const out = NativeBuffer.allocate(16)
const digest = NativeBuffer.allocate(EVP_MAX_MD_SIZE)
/** Given as the passphrase of whatever is read, or OpenSSL would stop and ask for one on the terminal. */
const noPassphrase = NativeBuffer.allocate(1)

/** What a peer's certificate says about it. */
export interface TlsPeerCertificate {
  /** Null if there is none that can be trusted as a name; never a text with a zero byte in it. */
  readonly commonName: string | null
  /** As in RFC 2253. */
  readonly subject: string
  /** `tls-server-end-point`; null where RFC 5929 defines none (Ed25519). */
  readonly hash: Buffer | null
}

/** Runs `use` on a read-only BIO over the text. */
function withText<T>(text: string, use: (bio: number) => T): T {
  const length = Buffer.byteLength(text)
  const memory = NativeBuffer.allocate(length + 1)
  memory.bytes.write(text)
  const bio = openssl.BIO_new_mem_buf(memory.address, length)
  try {
    clearErrors()
    return use(bio)
  } finally {
    openssl.BIO_free(bio)
    // The text may be a private key.
    memory.bytes.fill(0)
  }
}

/**
 * Every certificate of a PEM text, in order, as `X509 *` that the caller frees with `freeCertificates`.
 * @param what names the text in errors, for example "TLS towards clients: the certificate"
 * @throws ConfigError if there is none, or one cannot be read
 */
export function parseCertificates(pem: string, what: string): number[] {
  const wanted = pem.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g)?.length ?? 0
  if (wanted === 0) {
    throw new ConfigError(`${what} holds no certificate. Name a PEM file with "-----BEGIN CERTIFICATE-----" in it.`)
  }
  return withText(pem, (bio) => {
    const certificates: number[] = []
    while (certificates.length < wanted) {
      const certificate = openssl.PEM_read_bio_X509(bio, 0, 0, noPassphrase.address)
      if (certificate === 0) {
        freeCertificates(certificates)
        const at = `certificate ${certificates.length + 1} of ${wanted}`
        throw new ConfigError(`${what} is damaged: ${at} cannot be read (${takeErrors().join('; ')}).`)
      }
      certificates.push(certificate)
    }
    return certificates
  })
}

/** Gives back certificates (`X509 *`) that were read; none may be used afterwards. */
export function freeCertificates(certificates: readonly number[]): void {
  for (const certificate of certificates) openssl.X509_free(certificate)
}

/**
 * The private key of a PEM text as `EVP_PKEY *`, which the caller frees.
 * @param what names the text in errors, for example "TLS towards clients: the key"
 * @throws ConfigError if it is encrypted, missing or damaged
 */
export function parsePrivateKey(pem: string, what: string): number {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new ConfigError(
      `${what} is encrypted, and nobody is there to type its passphrase. ` +
        'Write it out unencrypted with "openssl pkey -in encrypted.key -out plain.key" and name that file.',
    )
  }
  const key = withText(pem, (bio) => openssl.PEM_read_bio_PrivateKey(bio, 0, 0, noPassphrase.address))
  if (key !== 0) return key
  const reasons = takeErrors()
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new ConfigError(`${what} holds no private key. Name a PEM file with "-----BEGIN PRIVATE KEY-----" in it.`)
  }
  throw new ConfigError(`${what} is damaged: the private key cannot be read (${reasons.join('; ')}).`)
}

/**
 * The certificate's `tls-server-end-point` channel binding: its hash with the digest of its own signature, SHA-256 in
 * place of MD5 and SHA-1 (https://www.rfc-editor.org/rfc/rfc5929#section-4.1). Null where the RFC defines none: a
 * signature without one digest, such as Ed25519. SCRAM-SHA-256-PLUS cannot be offered with such a certificate.
 */
export function endPointHash(certificate: number): Buffer | null {
  clearErrors()
  if (openssl.X509_get_signature_info(certificate, out.address, 0, 0, 0) !== 1) {
    takeErrors()
    return null
  }
  const signed = out.bytes.readInt32LE(0)
  if (signed === NID_UNDEFINED) return null
  const name = signed === NID_MD5 || signed === NID_SHA1 ? 'SHA256' : openssl.OBJ_nid2sn(signed)
  const algorithm = name === null ? 0 : openssl.EVP_get_digestbyname(name)
  if (algorithm === 0 || openssl.X509_digest(certificate, algorithm, digest.address, out.address) !== 1) {
    takeErrors()
    return null
  }
  return Buffer.from(digest.bytes.subarray(0, out.bytes.readUInt32LE(0)))
}

/**
 * The first common name of the subject, as PostgreSQL's `cert` method takes it. Null if there is none, or if it holds
 * a zero byte: "admin\0.example.com" must not log in as admin.
 */
export function commonName(certificate: number): string | null {
  const name = openssl.X509_get_subject_name(certificate)
  const index = openssl.X509_NAME_get_index_by_NID(name, NID_COMMON_NAME, -1)
  if (index < 0) return null
  clearErrors()
  const data = openssl.X509_NAME_ENTRY_get_data(openssl.X509_NAME_get_entry(name, index))
  const length = openssl.ASN1_STRING_to_UTF8(out.address, data)
  if (length < 0) {
    takeErrors()
    return null
  }
  const at = Number(out.bytes.readBigUInt64LE(0))
  const text = copyMemory(at, length)
  openssl.CRYPTO_free(at, 0, 0)
  return text.includes(0) ? null : text.toString()
}

/** The subject's distinguished name as in RFC 2253: `CN=app,O=Example`. */
export function subjectName(certificate: number): string {
  clearErrors()
  const bio = openssl.BIO_new(openssl.BIO_s_mem())
  openssl.X509_NAME_print_ex(bio, openssl.X509_get_subject_name(certificate), 0, RFC2253_NAME)
  const length = openssl.BIO_ctrl(bio, BIO_CTRL_INFO, 0, out.address)
  const text = copyMemory(Number(out.bytes.readBigUInt64LE(0)), length)
  openssl.BIO_free(bio)
  takeErrors()
  return text.toString()
}

/** The names a certificate is for, to be shown to people: its subject alternative names, or else its common name. */
export function shownNames(certificate: number): string {
  clearErrors()
  const der = NativeBuffer.allocate(openssl.i2d_X509(certificate, 0))
  out.bytes.writeBigUInt64LE(BigInt(der.address), 0)
  openssl.i2d_X509(certificate, out.address)
  const names = new X509Certificate(der.bytes).subjectAltName
  return names?.replaceAll(/\b(?:DNS|IP Address):/g, '') ?? commonName(certificate) ?? 'nobody'
}

/** What is said of the certificate (`X509 *`) that a peer has shown. */
export function describeCertificate(certificate: number): TlsPeerCertificate {
  return {
    commonName: commonName(certificate),
    subject: subjectName(certificate),
    hash: endPointHash(certificate),
  }
}
