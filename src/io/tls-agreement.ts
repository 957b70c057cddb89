import { NativeBuffer } from './native.ts'
import { copyMemory, openssl } from './openssl.ts'
import { describeCertificate, type TlsPeerCertificate } from './tls-certificates.ts'

const X509_V_OK = 0
const out = NativeBuffer.allocate(16)

/** OpenSSL's name of the cipher suite of a connection; empty before one is agreed. */
export function cipherName(ssl: number): string {
  const cipher = openssl.SSL_get_current_cipher(ssl)
  return cipher === 0 ? '' : openssl.SSL_CIPHER_get_name(cipher)
}

/** Whether the peer showed a certificate, and all checks of it that were wanted have passed. */
export function hasVerifiedPeer(ssl: number): boolean {
  const certificate = openssl.SSL_get1_peer_certificate(ssl)
  if (certificate === 0) return false
  openssl.X509_free(certificate)
  return openssl.SSL_get_verify_result(ssl) === X509_V_OK
}

/** The protocol agreed by ALPN, if both sides used it. */
export function selectedProtocol(ssl: number): string | null {
  openssl.SSL_get0_alpn_selected(ssl, out.address, out.address + 8)
  const length = out.bytes.readUInt32LE(8)
  return length === 0 ? null : copyMemory(Number(out.bytes.readBigUInt64LE(0)), length).toString()
}

/** What the peer's certificate says; null when it has shown none. */
export function peerCertificate(ssl: number): TlsPeerCertificate | null {
  const certificate = openssl.SSL_get1_peer_certificate(ssl)
  if (certificate === 0) return null
  try {
    return describeCertificate(certificate)
  } finally {
    openssl.X509_free(certificate)
  }
}
