import { isIP } from 'node:net'
import { ConfigError } from '../errors.ts'
import { NativeBuffer } from './native.ts'
import { openssl } from './openssl.ts'
import { encodeAlpn } from './tls-context.ts'

/** What a client says about the server that it wants. A server's channel takes none of it. */
export interface TlsClientOptions {
  /** Sent as SNI if it is a name and not an address; what the certificate must be for if the context checks that. */
  readonly serverName?: string
  /** The protocols to offer, best first. */
  readonly alpn?: readonly string[]
}

const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55
const X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 4

/**
 * Makes the SSL object a client that asks for, and if `verifiesName` insists on, that server.
 * @throws ConfigError if there is no name to insist on, or it is none
 */
export function prepareClient(ssl: number, verifiesName: boolean, options: TlsClientOptions): void {
  openssl.SSL_set_connect_state(ssl)
  const name = options.serverName ?? ''
  // OpenSSL takes an empty name for "do not check", so it must not get that far.
  if (verifiesName && name === '') {
    throw new ConfigError('verify-full needs the name of the server: give the shard a host name or an address.')
  }
  if (/[^\x21-\x7e]/.test(name)) throw new ConfigError(`"${name}" cannot be the name of a TLS server.`)
  if (name !== '' && isIP(name) === 0) {
    const text = NativeBuffer.allocate(name.length + 1)
    text.bytes.write(name, 'latin1')
    openssl.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, text.address)
  }
  if (verifiesName) insistOn(ssl, name)
  if (options.alpn !== undefined && options.alpn.length > 0) {
    const list = encodeAlpn(options.alpn)
    openssl.SSL_set_alpn_protos(ssl, list.address, list.size)
  }
}

/** Has OpenSSL check that the server's certificate is for that name or address. */
function insistOn(ssl: number, name: string): void {
  const parameters = openssl.SSL_get0_param(ssl)
  // As libpq: `*` stands for a whole label, "db*.example.com" for nothing.
  openssl.X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
  const accepted =
    isIP(name) === 0
      ? openssl.X509_VERIFY_PARAM_set1_host(parameters, name, name.length)
      : openssl.X509_VERIFY_PARAM_set1_ip_asc(parameters, name)
  if (accepted !== 1) throw new ConfigError(`"${name}" cannot be the name of a TLS server.`)
}
