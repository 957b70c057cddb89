import { NativeBuffer } from './native.ts'
import { openssl } from './openssl.ts'
import { TlsChannel } from './tls-channel.ts'
import type { TlsClientOptions } from './tls-client.ts'
import { type TlsClientContextOptions, TlsContext, type TlsServerContextOptions } from './tls-context.ts'

const SSL_CTRL_SET_MAX_PROTO_VERSION = 124

export interface TlsPairOptions extends TlsClientOptions {
  readonly version?: 'TLSv1.2' | 'TLSv1.3'
  /** OpenSSL's name of the only suite that the client offers. */
  readonly cipher?: string
}

/** For tests: two channels joined by hand, without a socket. Whoever makes one calls `free()`. */
export class TlsTestPair {
  readonly server: TlsChannel
  readonly client: TlsChannel
  readonly #wire = NativeBuffer.allocate(64 * 1024)

  /** The contexts are freed at once: the channels hold them. */
  constructor(
    server: Partial<TlsServerContextOptions> & Pick<TlsServerContextOptions, 'certificatePem' | 'keyPem'>,
    client: Partial<TlsClientContextOptions>,
    { version = 'TLSv1.3', cipher, ...options }: TlsPairOptions = {},
  ) {
    const serverContext = TlsContext.forServer({
      caPem: null,
      verify: 'none',
      minVersion: 'TLSv1.2',
      alpn: [],
      ...server,
    })
    const clientContext = TlsContext.forClient({
      caPem: null,
      certificatePem: null,
      keyPem: null,
      verify: 'none',
      ...client,
    })
    if (version === 'TLSv1.2') openssl.SSL_CTX_ctrl(clientContext.address, SSL_CTRL_SET_MAX_PROTO_VERSION, 0x303, 0)
    if (cipher !== undefined && version === 'TLSv1.2') openssl.SSL_CTX_set_cipher_list(clientContext.address, cipher)
    else if (cipher !== undefined) openssl.SSL_CTX_set_ciphersuites(clientContext.address, cipher)
    this.server = new TlsChannel(serverContext)
    this.client = new TlsChannel(clientContext, options)
    serverContext.free()
    clientContext.free()
  }

  /** Moves everything that waits to be sent in one direction, at most `piece` bytes at a time; how many. */
  carry(from: TlsChannel, to: TlsChannel, piece: number = this.#wire.size): number {
    let total = 0
    for (;;) {
      const moved = from.drain(this.#wire, 0, piece)
      if (moved === 0) return total
      to.feed(this.#wire, 0, moved)
      total += moved
    }
  }

  /** Shakes hands until both are done, or one has failed and the other has been told. */
  handshake(): { server: string; client: string } {
    for (let round = 0; round < 10; round++) {
      const client = this.client.handshake()
      this.carry(this.client, this.server)
      const server = this.server.handshake()
      this.carry(this.server, this.client)
      if (server === 'failed' || (client !== 'want-read' && server === 'done')) {
        return { server, client: this.client.handshake() }
      }
      if (client === 'failed') return { server: this.server.handshake(), client }
    }
    throw new Error('The handshake comes to no end.')
  }

  free(): void {
    this.server.free()
    this.client.free()
  }
}

/** What `read` gives for all that can be read now. */
export function readAll(channel: TlsChannel): string {
  const target = NativeBuffer.allocate(64 * 1024)
  let text = ''
  for (;;) {
    const bytes = channel.read(target, 0, target.size)
    if (bytes <= 0) return text
    text += target.bytes.toString('latin1', 0, bytes)
  }
}

/** Encrypts `text`, in latin1, as one write. */
export function writeText(channel: TlsChannel, text: string): void {
  const source = NativeBuffer.allocate(Math.max(text.length, 1))
  source.bytes.write(text, 'latin1')
  channel.write(source, 0, text.length)
}
