import type { Link } from '../io/link.ts'
import type { LinkHost } from '../io/link-host.ts'
import { stepHandshake } from '../io/link-tls.ts'
import { TlsChannel } from '../io/tls-channel.ts'
import type { TlsContext } from '../io/tls-context.ts'
import { writeSslRequest } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerTlsMode } from '../shard/plane-values.ts'
import type { Shard } from '../shard/topology.ts'

const TLS_ACCEPTED = 0x53
const TLS_REFUSED = 0x4e

/** What speaking TLS with shards needs of the plane. */
export interface TlsRequestHost extends Pick<LinkHost, 'inbound'> {
  readonly serverTls: { readonly mode: ServerTlsMode; readonly context: TlsContext | null }
}

/** How far it is: `open` may be spoken on, in plain text where there is no channel. */
export type TlsProgress =
  | { readonly kind: 'pending' }
  | { readonly kind: 'open'; readonly channel: TlsChannel | null }
  | { readonly kind: 'failed'; readonly reason: string }

const PENDING: TlsProgress = { kind: 'pending' }
const PLAIN: TlsProgress = { kind: 'open', channel: null }

const writer = new MessageWriter()

/**
 * From an open socket to a shard to one that is as secure as `server_tls` says.
 *
 * - asking: the answer to our TLS request is due, one byte: `answer`.
 * - securing: TLS handshake: `secure`.
 * - over: one way or the other.
 *
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
 */
export class TlsRequest {
  readonly #host: TlsRequestHost
  readonly #link: Link
  readonly #shard: Shard
  #step: 'asking' | 'securing' | 'over' = 'over'

  constructor(host: TlsRequestHost, link: Link, shard: Shard) {
    this.#host = host
    this.#link = link
    this.#shard = shard
  }

  get asking(): boolean {
    return this.#step === 'asking'
  }

  get securing(): boolean {
    return this.#step === 'securing'
  }

  /** Says the first word. TLS is not for Unix sockets. */
  start(): TlsProgress {
    if (this.#host.serverTls.mode === 'disable' || this.#shard.address?.startsWith('/')) return PLAIN
    this.#step = 'asking'
    writeSslRequest(writer.reset())
    return this.#link.send(writer.bytes) ? PENDING : this.#failed(this.#link.failure)
  }

  /** `host.inbound.bytes[start, end)`: one byte, and nothing may follow it: what did would be taken for TLS (CVE-2021-23222). */
  answer(start: number, end: number): TlsProgress {
    const { inbound } = this.#host
    const answer = end === start + 1 ? inbound.bytes[start] : undefined
    const { mode, context } = this.#host.serverTls
    if (answer === TLS_ACCEPTED && context !== null) {
      this.#step = 'securing'
      this.#link.stream.secureWith(new TlsChannel(context, { serverName: this.#shard.host }), inbound, end, end)
      return this.secure()
    }
    if (answer !== TLS_REFUSED) return this.#failed('unexpected answer to the TLS request')
    if (mode !== 'prefer') return this.#failed('the shard does not offer TLS, and server_tls.mode demands it')
    this.#step = 'over'
    return PLAIN
  }

  /** Takes the TLS handshake as far as it goes. */
  secure(): TlsProgress {
    const step = stepHandshake(this.#link)
    if (step === 'failed') return this.#failed(this.#link.failure)
    if (step !== 'done') return PENDING
    this.#step = 'over'
    return { kind: 'open', channel: this.#link.stream.channel as TlsChannel }
  }

  #failed(reason: string): TlsProgress {
    this.#step = 'over'
    return { kind: 'failed', reason }
  }
}
