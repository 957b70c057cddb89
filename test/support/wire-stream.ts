import type { Hash } from 'node:crypto'
import type { Socket } from 'node:net'
import { resetSocket } from './reset-socket.ts'
import { WireMessage } from './wire-message.ts'

/** Bodies longer than this are counted and hashed, not kept. */
const KEEP_BODY_BYTES = 4 << 20
/** Unread bytes beyond which the socket is paused, so that a test that does not read is a peer that does not read. */
const READ_AHEAD_BYTES = 256 << 10
const DEFAULT_TIMEOUT_MS = 15_000

/** How a peer ended a connection: orderly (FIN) or with RST. */
export type Ending = 'fin' | 'reset'

/** The peer ended the connection where bytes were expected. */
export class WireClosed extends Error {
  readonly how: Ending
  constructor(how: Ending, detail: string) {
    super(`the connection was closed (${how}) ${detail}`)
    this.name = 'WireClosed'
    this.how = how
  }
}

/**
 * One side of a PostgreSQL connection: sends exactly the bytes it is given, reads messages only when asked. Whoever
 * opened it closes it (`close`). Every wait has a deadline; a read that fails leaves unread bytes where they were.
 */
export class WireStream {
  /** Gets every byte of every message body when set; bodies are then not kept. */
  digest: Hash | null = null
  timeoutMs = DEFAULT_TIMEOUT_MS
  #socket: Socket
  #chunks: Buffer[] = []
  #buffered = 0
  #ending: Ending | null = null
  #wake: (() => void) | null = null
  #heldBack = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.#listen(socket)
  }

  /** Null while the peer has not ended the connection. */
  get ending(): Ending | null {
    return this.#ending
  }

  get socket(): Socket {
    return this.#socket
  }

  send(...frames: Buffer[]): void {
    this.#socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames))
  }

  /** Resolves when the kernel has taken the bytes: how a sender learns that its peer does not read. */
  sent(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Sends `bytes` cut at `cuts`, each piece in a segment of its own. */
  async sendCut(bytes: Buffer, cuts: readonly number[]): Promise<void> {
    let from = 0
    for (const cut of [...cuts, bytes.length]) {
      await this.sent(bytes.subarray(from, cut))
      await new Promise((resolve) => setImmediate(resolve))
      from = cut
    }
  }

  /** The next `bytes` bytes as they are: answers that are not messages. */
  async raw(bytes: number): Promise<Buffer> {
    return await this.#take(bytes, performance.now() + this.timeoutMs)
  }

  /** The next message. Rejects with `WireClosed` when the connection ends first. */
  async next(timeoutMs: number = this.timeoutMs): Promise<WireMessage> {
    const deadline = performance.now() + timeoutMs
    while (this.#buffered < 5) await this.#more(deadline)
    const head = await this.#take(5, deadline)
    const bytes = head.readInt32BE(1) - 4
    const type = String.fromCharCode(head[0]!)
    if (bytes < 0) throw new Error(`message ${JSON.stringify(type)} has the length ${bytes + 4}`)
    const keep = bytes <= KEEP_BODY_BYTES && this.digest === null
    const body = keep ? await this.#take(bytes, deadline) : await this.#skip(bytes, timeoutMs)
    return new WireMessage(type, body, bytes)
  }

  /** Messages up to and including the first whose type is one of the letters in `last`. */
  async until(last: string, timeoutMs?: number): Promise<WireMessage[]> {
    const messages: WireMessage[] = []
    for (;;) {
      try {
        messages.push(await this.next(timeoutMs))
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        const seen = messages.slice(-20).join(' ') || 'nothing'
        throw new Error(`expected ${last} after ${seen}: ${reason}`, { cause: error })
      }
      if (last.includes(messages.at(-1)!.type)) return messages
    }
  }

  /** Everything up to the end of the connection, and how it ended. */
  async untilClosed(timeoutMs: number = this.timeoutMs): Promise<{ messages: WireMessage[]; how: Ending }> {
    const messages: WireMessage[] = []
    for (;;) {
      try {
        messages.push(await this.next(timeoutMs))
      } catch (error) {
        if (error instanceof WireClosed) return { messages, how: error.how }
        const seen = messages.slice(-20).join(' ') || 'nothing'
        throw new Error(`expected the end of the connection after ${seen}`, { cause: error })
      }
    }
  }

  /** True when nothing comes for `forMs`; what has come stays unread. */
  async staysSilent(forMs: number): Promise<boolean> {
    if (this.#buffered === 0) await this.#wait(performance.now() + forMs)
    return this.#buffered === 0 && this.#ending === null
  }

  /** Stop taking bytes; the kernel's buffers fill up behind us. */
  stopReading(): void {
    this.#heldBack = true
    this.#socket.pause()
  }

  readAgain(): void {
    this.#heldBack = false
    this.#socket.resume()
  }

  /** FIN in our direction; the other one stays open. */
  endWriting(): void {
    this.#socket.end()
  }

  /** RST, as a killed peer's kernel may send it. */
  reset(): void {
    resetSocket(this.#socket)
  }

  /** Closes at once, without a goodbye. */
  close(): void {
    this.#socket.destroy()
  }

  /** Go on with a socket that wraps the present one (TLS). `wrap` gets the bare socket, without our listeners. */
  protected async rewrap(wrap: (bare: Socket) => Promise<Socket>): Promise<void> {
    for (const event of ['data', 'end', 'error', 'close']) this.#socket.removeAllListeners(event)
    this.#socket = await wrap(this.#socket)
    this.#listen(this.#socket)
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#buffered += chunk.length
      if (this.#buffered > READ_AHEAD_BYTES) socket.pause()
      this.#wake?.()
    })
    const ended = (how: Ending) => () => {
      this.#ending ??= how
      this.#wake?.()
    }
    socket.on('end', ended('fin'))
    socket.on('error', ended('reset'))
    socket.on('close', ended('fin'))
  }

  async #take(bytes: number, deadline: number): Promise<Buffer> {
    while (this.#buffered < bytes) await this.#more(deadline)
    if (bytes === 0) return Buffer.alloc(0)
    const first = this.#chunks[0]!
    const whole = first.length >= bytes ? first : Buffer.concat(this.#chunks)
    if (whole !== first) this.#chunks = [whole]
    if (whole.length === bytes) this.#chunks.shift()
    else this.#chunks[0] = whole.subarray(bytes)
    this.#buffered -= bytes
    return whole.subarray(0, bytes)
  }

  /** Passes over a body; each arrival of bytes extends the time. */
  async #skip(bytes: number, timeoutMs: number): Promise<Buffer> {
    for (let left = bytes; left > 0; ) {
      if (this.#buffered === 0) await this.#more(performance.now() + timeoutMs)
      const part = await this.#take(Math.min(left, this.#chunks[0]!.length), 0)
      this.digest?.update(part)
      left -= part.length
    }
    return Buffer.alloc(0)
  }

  async #more(deadline: number): Promise<void> {
    const before = this.#buffered
    await this.#wait(deadline)
    if (this.#buffered > before) return
    if (this.#ending !== null) throw new WireClosed(this.#ending, `with ${before} bytes unread`)
    if (performance.now() >= deadline) throw new Error(`nothing came in time (${before} bytes unread)`)
  }

  /** Until bytes arrive, the connection ends, or the deadline passes. */
  async #wait(deadline: number): Promise<void> {
    if (this.#ending !== null) return
    if (!this.#heldBack) this.#socket.resume()
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()))
    this.#wake = resolve
    await promise
    clearTimeout(timer)
    this.#wake = null
  }
}
