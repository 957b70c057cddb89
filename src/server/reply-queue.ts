/** What a request makes the server answer, in the order of the requests. */
export const REPLY = {
  /** A query of ours about the transaction that is about to end: anything up to ReadyForQuery. */
  mark: 0,
  /** Query: anything up to ReadyForQuery. */
  query: 1,
  /** Sync: ReadyForQuery. */
  sync: 2,
  /** FunctionCall: FunctionCallResponse, then ReadyForQuery. */
  functionCall: 3,
  parse: 4,
  bind: 5,
  /** ParameterDescription comes before RowDescription or NoData for statements. */
  describe: 6,
  /** CommandComplete, EmptyQueryResponse or PortalSuspended. */
  execute: 7,
  close: 8,
} as const

/** The bits of an entry that are one of REPLY. */
export const KIND = 0x0f
/** The answer is to a request of ours and not for the client. */
export const SWALLOW = 0x10
/** No request was sent; the answer is ours to make when its turn comes. */
export const SYNTHESIZE = 0x20
/** The client sent CopyDone or CopyFail between the request before and this one. */
const AFTER_COPY_END = 0x40
/** With SWALLOW: the rows of the answer are wanted. */
export const CAPTURE = 0x80

/** Bytes of the ring. */
export const REPLY_RING_BYTES = 256
/** With so many unanswered the server is told to Flush, and no more is sent until answers come. */
export const REPLY_RING_FULL = 240

/** What a queue knows besides its entries. */
export interface QueueState {
  readonly skipping: boolean
  readonly unfinished: boolean
  readonly copyEnded: boolean
}

/**
 * The answers that a server still owes, as a ring of bytes. Knows what an error skips: after one in an
 * extended query nothing is answered up to the next Sync.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export class ReplyQueue {
  readonly #ring: Uint8Array
  #first = 0
  #count = 0
  #ready = 0
  /** ReadyForQuery that came, or will never come. */
  answered = 0
  #skipping = false
  #unfinished = false
  #copyEnded = false

  /** `ring` is REPLY_RING_BYTES long. */
  constructor(ring: Uint8Array) {
    this.#ring = ring
  }

  /** Unanswered requests. */
  get length(): number {
    return this.#count
  }

  /** How many ReadyForQuery are owed. */
  get outstanding(): number {
    return this.#ready
  }

  /** How many ReadyForQuery are owed to the client, not to us. */
  get promised(): number {
    let promised = 0
    for (let at = 0; at < this.#count; at++) {
      const entry = this.#ring[(this.#first + at) & (REPLY_RING_BYTES - 1)] as number
      if ((entry & KIND) <= REPLY.functionCall && (entry & SWALLOW) === 0) promised++
    }
    return promised
  }

  /** Something is owed to the client, not to us. */
  get owing(): boolean {
    for (let at = 0; at < this.#count; at++) {
      if (((this.#ring[(this.#first + at) & (REPLY_RING_BYTES - 1)] as number) & SWALLOW) === 0) return true
    }
    return false
  }

  get full(): boolean {
    return this.#count >= REPLY_RING_FULL
  }

  /** After an error, until a Sync is pushed: the server ignores everything else, so it need not be sent. */
  get skipping(): boolean {
    return this.#skipping
  }

  /** Messages of an extended query have been pushed, and no Sync since; whether they are answered or not. */
  get unfinished(): boolean {
    return this.#unfinished
  }

  /** How many Parse and Close were pushed behind the last request for a ReadyForQuery, all of it unanswered. */
  get preparing(): number {
    let preparing = 0
    for (let at = this.#count - 1; at >= 0; at--) {
      const kind = (this.#ring[(this.#first + at) & (REPLY_RING_BYTES - 1)] as number) & KIND
      if (kind <= REPLY.functionCall) break
      if (kind === REPLY.parse || kind === REPLY.close) preparing++
    }
    return preparing
  }

  /** Kind and flags of the oldest, 0 when nothing is owed. */
  get head(): number {
    return this.#count === 0 ? 0 : (this.#ring[this.#first] as number)
  }

  get headKind(): number {
    return this.head & KIND
  }

  push(entry: number): void {
    if (this.#count >= REPLY_RING_BYTES) throw new Error('reply queue overflow')
    this.#append(this.#copyEnded ? entry | AFTER_COPY_END : entry)
    this.#copyEnded = false
  }

  #append(entry: number): void {
    this.#ring[(this.#first + this.#count) & (REPLY_RING_BYTES - 1)] = entry
    this.#count++
    this.#unfinished = (entry & KIND) > REPLY.functionCall
    if (!this.#unfinished) {
      this.#ready++
      this.#skipping = false
    }
  }

  pop(): number {
    if (this.#count === 0) throw new Error('a reply that nobody asked for')
    const entry = this.#ring[this.#first] as number
    this.#first = (this.#first + 1) & (REPLY_RING_BYTES - 1)
    this.#count--
    if ((entry & KIND) <= REPLY.functionCall) {
      this.#ready--
      this.answered++
    }
    return entry
  }

  /**
   * An error has come. In an extended query, everything before the next Sync is skipped: `skipped` is told each entry,
   * oldest first. A failed Query or FunctionCall still ends with its ReadyForQuery.
   */
  fail(skipped: (entry: number) => void): void {
    const kind = this.headKind
    if (this.#count > 0 && kind <= REPLY.functionCall && kind !== REPLY.sync) return
    while (this.#count > 0 && this.headKind !== REPLY.sync) skipped(this.pop())
    if (this.#count === 0) this.#skipping = true
  }

  /** CopyDone or CopyFail was sent before the server has said whether it copies in. */
  endCopyEarly(): void {
    this.#copyEnded = true
  }

  /**
   * The request at the head copies in: Syncs behind it are read and ignored, up to the client's CopyDone or CopyFail.
   * False when that has been sent already.
   */
  beginCopyIn(): boolean {
    let copying = true
    const before = this.answered + this.#ready
    for (let index = 0, { length } = this; index < length; index++) {
      const entry = this.pop()
      if (index > 0 && (entry & AFTER_COPY_END) !== 0) copying = false
      if (index === 0 || !copying || (entry & KIND) !== REPLY.sync) this.#append(entry)
    }
    this.answered = before - this.#ready
    copying &&= !this.#copyEnded
    this.#copyEnded = false
    return copying
  }

  /** CopyDone or CopyFail was sent last. */
  get copyEnded(): boolean {
    return this.#copyEnded
  }

  /** What is owed, the oldest first. */
  get entries(): number[] {
    return Array.from(
      { length: this.#count },
      (_, at) => this.#ring[(this.#first + at) & (REPLY_RING_BYTES - 1)] as number,
    )
  }

  /** The oldest entries, `most` at most, go to `target` from `start` on. */
  copyTo(target: Uint8Array, start: number, most: number): void {
    const count = Math.min(this.#count, most)
    for (let at = 0; at < count; at++) {
      target[start + at] = this.#ring[(this.#first + at) & (REPLY_RING_BYTES - 1)] as number
    }
  }

  /** As it was in another process; nothing is owed here yet. */
  restore(entries: readonly number[], { skipping, unfinished, copyEnded }: QueueState): void {
    for (const entry of entries) this.#append(entry)
    this.#skipping = skipping
    this.#unfinished = unfinished
    this.#copyEnded = copyEnded
  }

  clear(): void {
    this.#first = 0
    this.#count = 0
    this.#ready = 0
    this.#skipping = false
    this.#unfinished = false
    this.#copyEnded = false
  }
}
