import { addressOf, NativeBuffer } from './native.ts'
import { openssl, takeErrors } from './openssl.ts'

/**
 * Most ciphertext that one connection may have waiting to be decrypted. Whoever reads plaintext until there is no more
 * can always feed 64 KB.
 */
export const INBOUND_LIMIT = 128 * 1024

const BIO_CTRL_RESET = 1
const NOTHING: Buffer = Buffer.alloc(0)

function createMemoryBio(): number {
  const bio = openssl.BIO_new(openssl.BIO_s_mem())
  if (bio === 0) throw new Error(`BIO_new: ${takeErrors().join('; ')}`)
  return bio
}

/**
 * Ciphertext towards and from OpenSSL, one pair of memory BIOs for all connections of the thread: a memory BIO never
 * gives back what it once grew to, and an idle connection must not hold a buffer. `user` is the connection whose bytes
 * are in them.
 */
const inbound = createMemoryBio()
const outbound = createMemoryBio()
let user: TlsPipe | null = null

/** Everything that is left in a BIO. */
function takeAll(bio: number): Buffer {
  const length = openssl.BIO_ctrl_pending(bio)
  if (length === 0) return NOTHING
  const bytes = NativeBuffer.allocate(length)
  openssl.BIO_read(bio, bytes.address, length)
  return bytes.bytes
}

function put(bio: number, address: number, length: number): void {
  if (openssl.BIO_write(bio, address, length) === length) return
  throw new Error(`TLS: no memory for ${length} bytes of ciphertext (${takeErrors().join('; ')}).`)
}

/**
 * One connection's use of the thread's ciphertext BIOs. `enter()` comes before every call into OpenSSL: it parks what
 * the connection that was there before has left, and brings back what this one had to leave. A connection that reads
 * and drains until nothing is left, as the reactor does, never has anything parked.
 */
export class TlsPipe {
  #parkedInbound: Buffer = NOTHING
  #parkedOutbound: Buffer = NOTHING
  /** False when known to be empty, so that the usual change of connections costs no call. */
  #mayHoldInbound = false
  #mayHoldOutbound = false

  /** Gives the SSL object its two BIOs, on which it then holds references. */
  attach(ssl: number): void {
    openssl.BIO_up_ref(inbound)
    openssl.BIO_up_ref(outbound)
    openssl.SSL_set_bio(ssl, inbound, outbound)
  }

  enter(): void {
    if (user === this) return
    if (user !== null) user.#park()
    user = this
    if (this.#parkedInbound.length > 0) {
      put(inbound, addressOf(this.#parkedInbound), this.#parkedInbound.length)
      this.#parkedInbound = NOTHING
    }
    if (this.#parkedOutbound.length > 0) {
      put(outbound, addressOf(this.#parkedOutbound), this.#parkedOutbound.length)
      this.#parkedOutbound = NOTHING
    }
  }

  /** How much of `length` bytes was taken: less than all only at `INBOUND_LIMIT`. */
  feed(address: number, length: number): number {
    this.enter()
    const room = this.#mayHoldInbound ? INBOUND_LIMIT - openssl.BIO_ctrl_pending(inbound) : INBOUND_LIMIT
    const taken = Math.min(room, length)
    if (taken <= 0) return 0
    put(inbound, address, taken)
    this.#mayHoldInbound = true
    return taken
  }

  /** Whether OpenSSL has taken all that was fed. */
  inboundIsEmpty(): boolean {
    if (!this.#mayHoldInbound) return true
    this.enter()
    this.#mayHoldInbound = openssl.BIO_ctrl_pending(inbound) > 0
    return !this.#mayHoldInbound
  }

  /** What OpenSSL has not taken of what was fed; it never will. */
  takeInbound(): Buffer {
    if (!this.#mayHoldInbound) return NOTHING
    this.enter()
    this.#mayHoldInbound = false
    return takeAll(inbound)
  }

  /** To be called after every call that can make OpenSSL write. */
  mayHaveWritten(): void {
    this.#mayHoldOutbound = true
  }

  pendingOutbound(): number {
    if (!this.#mayHoldOutbound) return 0
    this.enter()
    const pending = openssl.BIO_ctrl_pending(outbound)
    this.#mayHoldOutbound = pending > 0
    return pending
  }

  drain(address: number, most: number): number {
    if (!this.#mayHoldOutbound || most === 0) return 0
    this.enter()
    const moved = Math.max(openssl.BIO_read(outbound, address, most), 0)
    if (moved < most) this.#mayHoldOutbound = false
    return moved
  }

  /** Forgets everything. The SSL object gives up its references by itself. */
  release(): void {
    this.#parkedInbound = NOTHING
    this.#parkedOutbound = NOTHING
    if (user !== this) return
    if (this.#mayHoldInbound) openssl.BIO_ctrl(inbound, BIO_CTRL_RESET, 0, 0)
    if (this.#mayHoldOutbound) openssl.BIO_ctrl(outbound, BIO_CTRL_RESET, 0, 0)
    user = null
  }

  #park(): void {
    if (this.#mayHoldInbound) this.#parkedInbound = takeAll(inbound)
    if (this.#mayHoldOutbound) this.#parkedOutbound = takeAll(outbound)
    this.#mayHoldInbound = this.#parkedInbound.length > 0
    this.#mayHoldOutbound = this.#parkedOutbound.length > 0
  }
}
