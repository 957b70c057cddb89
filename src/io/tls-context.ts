import koffi from 'koffi'
import { ConfigError } from '../errors.ts'
import { NativeBuffer } from './native.ts'
import { clearErrors, openssl, takeErrors } from './openssl.ts'
import { endPointHash, freeCertificates, parseCertificates, parsePrivateKey } from './tls-certificates.ts'
import { logKeys } from './tls-handshake-secrets.ts'

export interface TlsServerContextOptions {
  /** The certificate, then the intermediates that lead to its CA. */
  readonly certificatePem: string
  readonly keyPem: string
  /** The CAs whose client certificates are accepted; needed unless `verify` is `none`. */
  readonly caPem: string | null
  /** Client certificates: not asked for, checked if presented, or obligatory. */
  readonly verify: 'none' | 'request' | 'require'
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** What is agreed to, best first. A client that offers ALPN without any of them is refused; one without ALPN is not. */
  readonly alpn: readonly string[]
  /** Whether its channels can hand over what they agreed on (`TlsChannel.handOver`). */
  readonly logsKeys?: boolean
}

export interface TlsClientContextOptions {
  /** The CAs that are trusted. Null with `full`: the system's; null with `ca` is refused, any public CA would do. */
  readonly caPem: string | null
  readonly certificatePem: string | null
  readonly keyPem: string | null
  /** As libpq's `require`, `verify-ca` and `verify-full`. */
  readonly verify: 'none' | 'ca' | 'full'
  readonly logsKeys?: boolean
}

export type TlsRole = 'server' | 'client'

interface ContextKind {
  readonly verifiesName: boolean
  readonly logsKeys: boolean
}

const SSL_OP_NO_TICKET = 2 ** 14
const SSL_OP_NO_COMPRESSION = 2 ** 17
const SSL_OP_CIPHER_SERVER_PREFERENCE = 2 ** 22
const SSL_OP_NO_RENEGOTIATION = 2 ** 30
const SSL_CTRL_MODE = 33
const SSL_CTRL_SET_SESS_CACHE_MODE = 44
const SSL_CTRL_CHAIN_CERT = 89
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123
const SSL_MODE_PARTIAL_WRITE_MOVING_BUFFER_RELEASE_BUFFERS = 0x1 | 0x2 | 0x10
const SSL_SESS_CACHE_OFF = 0
const SSL_VERIFY_NONE = 0
const SSL_VERIFY_PEER = 1
const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2
const SSL_TLSEXT_ERR_OK = 0
const SSL_TLSEXT_ERR_ALERT_FATAL = 2
const OPENSSL_NPN_NEGOTIATED = 1
const VERSIONS = { 'TLSv1.2': 0x303, 'TLSv1.3': 0x304 } as const

// AEAD suites only: they are the ones whose record layer can be carried on outside of OpenSSL.
const TLS12_CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20'
const TLS13_CIPHERS = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'

/** Protocol names as ALPN sends them, each after a length byte (https://www.rfc-editor.org/rfc/rfc7301#section-3.1). */
export function encodeAlpn(protocols: readonly string[]): NativeBuffer {
  const names = protocols.map((name) => Buffer.from(name))
  for (const name of names) {
    if (name.length === 0 || name.length > 255) throw new ConfigError('An ALPN name has from 1 to 255 bytes.')
  }
  const list = NativeBuffer.allocate(names.reduce((bytes, name) => bytes + 1 + name.length, 0))
  let at = 0
  for (const name of names) {
    list.bytes[at] = name.length
    name.copy(list.bytes, at + 1)
    at += 1 + name.length
  }
  return list
}

/** By address, and never removed: a connection may outlive the `TlsContext` that it was made from. */
const alpnLists = new Map<number, NativeBuffer>()

const selectAlpn = koffi.register(
  (_ssl: number, out: number, outBytes: number, offered: number, offeredBytes: number, list: number): number => {
    const ours = alpnLists.get(list)
    if (ours === undefined) return SSL_TLSEXT_ERR_ALERT_FATAL
    const verdict = openssl.SSL_select_next_proto(out, outBytes, ours.address, ours.size, offered, offeredBytes)
    return verdict === OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL
  },
  koffi.pointer(koffi.proto('int', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uint', 'uintptr_t'])),
)

/** The one buffer for this list of protocols; there is a handful of lists in the life of a process. */
function internAlpn(protocols: readonly string[]): NativeBuffer {
  const list = encodeAlpn(protocols)
  for (const known of alpnLists.values()) if (known.bytes.equals(list.bytes)) return known
  alpnLists.set(list.address, list)
  return list
}

/**
 * Certificates, trust and policy of one side, shared by any number of channels. TLS 1.2 and 1.3 with AEAD suites, no
 * renegotiation, no compression, no session tickets and no session cache: PostgreSQL resumes no sessions either, and
 * the first record after the handshake then has a known sequence number.
 *
 * Whoever creates it calls `free()` when no new channel shall use it; channels that exist go on.
 */
export class TlsContext {
  readonly role: TlsRole
  /** A client context that checks the name of its server, which every channel must then be given. */
  readonly verifiesName: boolean
  /** `tls-server-end-point` of our own certificate; null without one, or where RFC 5929 defines none (Ed25519). */
  readonly certificateHash: Buffer | null
  readonly logsKeys: boolean
  #context: number

  private constructor(
    role: TlsRole,
    { verifiesName, logsKeys }: ContextKind,
    context: number,
    certificateHash: Buffer | null,
  ) {
    this.role = role
    this.verifiesName = verifiesName
    this.logsKeys = logsKeys
    this.certificateHash = certificateHash
    this.#context = context
  }

  /** @throws ConfigError naming what is wrong with certificate, key or ca */
  static forServer(options: TlsServerContextOptions): TlsContext {
    const what = 'TLS towards clients'
    if (options.verify !== 'none' && options.caPem === null) {
      throw new ConfigError(`${what}: client certificates cannot be checked without the \`ca\` that signed them.`)
    }
    return TlsContext.#create('server', { verifiesName: false, logsKeys: options.logsKeys ?? false }, (context) => {
      const hash = useCertificate(context, options.certificatePem, options.keyPem, what)
      openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, VERSIONS[options.minVersion], 0)
      openssl.SSL_CTX_set_num_tickets(context, 0)
      if (options.verify !== 'none' && options.caPem !== null) {
        trust(context, options.caPem, what, true)
        const obligatory = options.verify === 'require' ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0
        openssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER | obligatory, 0)
      }
      if (options.alpn.length > 0) {
        openssl.SSL_CTX_set_alpn_select_cb(context, Number(selectAlpn), internAlpn(options.alpn).address)
      }
      return hash
    })
  }

  /** @throws ConfigError naming what is wrong with certificate, key or ca */
  static forClient(options: TlsClientContextOptions): TlsContext {
    const what = 'TLS towards servers'
    if ((options.certificatePem === null) !== (options.keyPem === null)) {
      const [given, missing] = options.keyPem === null ? ['certificate', 'key'] : ['key', 'certificate']
      throw new ConfigError(`${what}: there is a \`${given}\` without a \`${missing}\`. Give both, or neither.`)
    }
    if (options.verify === 'ca' && options.caPem === null) {
      throw new ConfigError(
        `${what}: verify-ca needs a \`ca\`, because every server with a public certificate would pass otherwise. ` +
          'Name the CA that signed the servers, or use verify-full, which trusts the CAs of this system by default.',
      )
    }
    const kind = { verifiesName: options.verify === 'full', logsKeys: options.logsKeys ?? false }
    return TlsContext.#create('client', kind, (context) => {
      openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, VERSIONS['TLSv1.2'], 0)
      if (options.caPem !== null) trust(context, options.caPem, what, false)
      else if (options.verify === 'full') openssl.SSL_CTX_set_default_verify_paths(context)
      openssl.SSL_CTX_set_verify(context, options.verify === 'none' ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, 0)
      if (options.certificatePem === null || options.keyPem === null) return null
      return useCertificate(context, options.certificatePem, options.keyPem, what)
    })
  }

  static #create(role: TlsRole, kind: ContextKind, fill: (context: number) => Buffer | null): TlsContext {
    clearErrors()
    const method = role === 'server' ? openssl.TLS_server_method() : openssl.TLS_client_method()
    const context = openssl.SSL_CTX_new(method)
    if (context === 0) throw new Error(`SSL_CTX_new: ${takeErrors().join('; ')}`)
    try {
      openssl.SSL_CTX_set_options(
        context,
        SSL_OP_NO_TICKET + SSL_OP_NO_COMPRESSION + SSL_OP_CIPHER_SERVER_PREFERENCE + SSL_OP_NO_RENEGOTIATION,
      )
      openssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE, SSL_MODE_PARTIAL_WRITE_MOVING_BUFFER_RELEASE_BUFFERS, 0)
      openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, 0)
      const known =
        openssl.SSL_CTX_set_cipher_list(context, TLS12_CIPHERS) *
        openssl.SSL_CTX_set_ciphersuites(context, TLS13_CIPHERS)
      if (known !== 1) throw new Error(`TLS cipher suites: ${takeErrors().join('; ')}`)
      if (kind.logsKeys) logKeys(context)
      return new TlsContext(role, kind, context, fill(context))
    } catch (error) {
      openssl.SSL_CTX_free(context)
      throw error
    }
  }

  /** The `SSL_CTX *`, for channels. */
  get address(): number {
    if (this.#context === 0) throw new Error('This TLS context was freed; make channels from the one that replaced it.')
    return this.#context
  }

  /** Gives up this reference; every channel holds one of its own. A second call does nothing. */
  free(): void {
    if (this.#context === 0) return
    openssl.SSL_CTX_free(this.#context)
    this.#context = 0
  }
}

/** Puts certificate, chain and key into the context; the certificate's channel binding hash. */
function useCertificate(context: number, certificatePem: string, keyPem: string, what: string): Buffer | null {
  const certificates = parseCertificates(certificatePem, `${what}: the \`certificate\``)
  let key = 0
  try {
    key = parsePrivateKey(keyPem, `${what}: the \`key\``)
    const [own = 0, ...chain] = certificates
    if (openssl.SSL_CTX_use_certificate(context, own) !== 1) {
      throw new ConfigError(`${what}: the \`certificate\` cannot be used (${takeErrors().join('; ')}).`)
    }
    // The context would take a key of another kind than the certificate's without a word, and then have no use for it.
    if (openssl.X509_check_private_key(own, key) !== 1) {
      const reasons = takeErrors().join('; ')
      throw new ConfigError(
        `${what}: the \`key\` does not belong to the first certificate of \`certificate\` (${reasons}). ` +
          "Name the key that this certificate was made for, and put the server's own certificate first in its file.",
      )
    }
    if (openssl.SSL_CTX_use_PrivateKey(context, key) !== 1) {
      throw new ConfigError(`${what}: the \`key\` cannot be used (${takeErrors().join('; ')}).`)
    }
    for (const intermediate of chain) {
      // 1: the context takes a reference of its own.
      if (openssl.SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, intermediate) === 1) continue
      throw new ConfigError(`${what}: the chain in \`certificate\` cannot be used (${takeErrors().join('; ')}).`)
    }
    return endPointHash(own)
  } finally {
    openssl.EVP_PKEY_free(key)
    freeCertificates(certificates)
  }
}

/** Trusts the CAs of the PEM text; `announce` also tells clients which CAs their certificate may come from. */
function trust(context: number, caPem: string, what: string, announce: boolean): void {
  const authorities = parseCertificates(caPem, `${what}: the \`ca\``)
  try {
    const store = openssl.SSL_CTX_get_cert_store(context)
    for (const authority of authorities) {
      const added = openssl.X509_STORE_add_cert(store, authority) === 1
      if (added && (!announce || openssl.SSL_CTX_add_client_CA(context, authority) === 1)) continue
      throw new ConfigError(`${what}: the \`ca\` cannot be used (${takeErrors().join('; ')}).`)
    }
  } finally {
    freeCertificates(authorities)
  }
}
