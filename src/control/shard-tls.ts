import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { Config } from '../config/schema.ts'
import type { ServerTlsValue } from '../shard/plane-values.ts'

/**
 * How the control process' own connections to a shard use TLS: options for `tls.connect`, or false for none. In mode
 * `prefer` the options are for the first attempt; a shard without TLS is then asked again without.
 */
export function shardTls(tls: ServerTlsValue, host: string): ConnectionOptions | false {
  // PostgreSQL does not speak TLS on Unix sockets.
  if (tls.mode === 'disable' || host.startsWith('/')) return false
  const isVerified = tls.mode === 'verify-ca' || tls.mode === 'verify-full'
  return {
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.certificate === null ? {} : { cert: tls.certificate }),
    ...(tls.key === null ? {} : { key: tls.key }),
    rejectUnauthorized: isVerified,
    // The name is the configured one, whatever address it led to.
    checkServerIdentity: (_: string, certificate: PeerCertificate) =>
      tls.mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
  }
}

/** The configured files as their contents. */
export function serverTlsValue({ mode, certificate, key, ca, onUpgrade }: Config['serverTls']): ServerTlsValue {
  return { mode, certificate: certificate?.text ?? null, key: key?.text ?? null, ca: ca?.text ?? null, onUpgrade }
}
