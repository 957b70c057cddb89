import { CLIENT_F64 } from '../memory/client-slots.ts'
import { histogramBucket, POOL_F64, POOL_HISTOGRAM } from '../memory/pool-records.ts'
import type { Region } from '../memory/region.ts'
import { SERVER_F64 } from '../memory/server-slots.ts'

/** What a meter needs of its plane. */
export interface MeterHost {
  readonly clients: Region
  readonly pools: Region
  readonly servers: Region
  readonly now: number
}

/** Counts and times of one client, in its slot, and of its pool, in the pool's record. */
export class ClientMeter {
  readonly #host: MeterHost
  readonly #f: number
  /** First f64 of the pool's record; −1 before there is one. */
  #pool = -1
  #bytesRead = 0
  #bytesWritten = 0
  /** It waited in a process before this one, since then, and its request has not begun anew; 0: it did not. */
  #waitedSince = 0

  /** `isKept`: the slot has counts of this client's already. */
  constructor(host: MeterHost, slot: number, isKept: boolean) {
    this.#host = host
    this.#f = slot * (host.clients.recordBytes >> 3)
    if (isKept) {
      const waitedSince = this.waitingSince
      this.abandoned()
      this.#waitedSince = waitedSince
      this.#bytesRead = host.clients.f64[this.#f + CLIENT_F64.bytesRead] ?? 0
      this.#bytesWritten = host.clients.f64[this.#f + CLIENT_F64.bytesWritten] ?? 0
    } else host.clients.f64[this.#f + CLIENT_F64.connectedAt] = host.now
  }

  usePool(record: number): void {
    this.#pool = record * (this.#host.pools.recordBytes >> 3)
  }

  /** First of a transaction or one more: only the first sets the clocks that run. */
  requestBegins(): void {
    const { clients, now } = this.#host
    const f = this.#f
    clients.f64[f + CLIENT_F64.requestAt] = now
    if (clients.f64[f + CLIENT_F64.transactionAt] === 0) clients.f64[f + CLIENT_F64.transactionAt] = now
    if (clients.f64[f + CLIENT_F64.queryAt] === 0) clients.f64[f + CLIENT_F64.queryAt] = now
  }

  /** Monotonic milliseconds at which its transaction began; now when it has none. */
  get transactionAt(): number {
    return this.#host.clients.f64[this.#f + CLIENT_F64.transactionAt] || this.#host.now
  }

  /** Monotonic milliseconds; 0: it does not wait. */
  get waitingSince(): number {
    return this.#host.clients.f64[this.#f + CLIENT_F64.waitingSince] ?? 0
  }

  /** A wait of the same request that another process has begun goes on: returned is when it did; 0: it has not. */
  waitBegins(): number {
    const since = this.#waitedSince
    this.#waitedSince = 0
    this.#host.clients.f64[this.#f + CLIENT_F64.waitingSince] = since || this.#host.now
    return since
  }

  /** Returns how long it has waited. */
  waitEnds(): number {
    const { clients, now } = this.#host
    const since = clients.f64[this.#f + CLIENT_F64.waitingSince] ?? 0
    if (since === 0) return 0
    clients.f64[this.#f + CLIENT_F64.waitingSince] = 0
    this.#addToPool(POOL_F64.waits, 1)
    this.#addToPool(POOL_F64.waitMs, now - since)
    this.#observe(POOL_HISTOGRAM.wait, now - since)
    // The query's time is the server's, not the queue's.
    clients.f64[this.#f + CLIENT_F64.queryAt] = now
    clients.f64[this.#f + CLIENT_F64.transactionAt] = now
    return now - since
  }

  /** A server connection was given to it. */
  assigned(): void {
    this.#addToPool(POOL_F64.serverAssignments, 1)
    this.#waitedSince = 0
    // No wait is the most frequent one, and a histogram without it would lie.
    if (this.#host.clients.f64[this.#f + CLIENT_F64.waitingSince] === 0) this.#observe(POOL_HISTOGRAM.wait, 0)
  }

  waitTimedOut(): void {
    this.#addToPool(POOL_F64.waitTimeouts, 1)
  }

  /** A ReadyForQuery has gone to the client. Returns the milliseconds that it took, −1: nothing was asked. */
  answered(serverSlot: number): number {
    const { clients, servers, now } = this.#host
    const f = this.#f
    const began = clients.f64[f + CLIENT_F64.queryAt] ?? 0
    this.#add(clients, f + CLIENT_F64.queries, 1)
    this.#add(servers, serverSlot * (servers.recordBytes >> 3) + SERVER_F64.queries, 1)
    if (this.#pool >= 0) {
      this.#addToPool(POOL_F64.queries, 1)
      if (began !== 0) {
        this.#addToPool(POOL_F64.queryMs, now - began)
        this.#observe(POOL_HISTOGRAM.query, now - began)
      }
    }
    clients.f64[f + CLIENT_F64.queryAt] = 0
    return began === 0 ? -1 : now - began
  }

  transactionEnds(serverSlot: number): void {
    const { clients, servers, now } = this.#host
    const f = this.#f
    const began = clients.f64[f + CLIENT_F64.transactionAt] ?? 0
    this.#add(clients, f + CLIENT_F64.transactions, 1)
    this.#add(servers, serverSlot * (servers.recordBytes >> 3) + SERVER_F64.transactions, 1)
    clients.f64[f + CLIENT_F64.transactionAt] = 0
    if (this.#pool < 0) return
    this.#addToPool(POOL_F64.transactions, 1)
    if (began !== 0) {
      this.#addToPool(POOL_F64.transactionMs, now - began)
      this.#observe(POOL_HISTOGRAM.transaction, now - began)
    }
    this.#settleBytes()
  }

  /** The request will never be answered by a server. */
  abandoned(): void {
    const { f64 } = this.#host.clients
    f64[this.#f + CLIENT_F64.queryAt] = 0
    f64[this.#f + CLIENT_F64.transactionAt] = 0
    f64[this.#f + CLIENT_F64.waitingSince] = 0
    this.#waitedSince = 0
  }

  error(): void {
    this.#addToPool(POOL_F64.errors, 1)
  }

  /** Pinned since the first reason, whatever the others are. */
  pinned(pinned: boolean): void {
    const { f64 } = this.#host.clients
    const at = this.#f + CLIENT_F64.pinnedAt
    if (!pinned) f64[at] = 0
    else if (f64[at] === 0) f64[at] = this.#host.now
  }

  /** What went through since the last transaction belongs to the pool of this one. */
  #settleBytes(): void {
    const { f64 } = this.#host.clients
    const read = f64[this.#f + CLIENT_F64.bytesRead] ?? 0
    const written = f64[this.#f + CLIENT_F64.bytesWritten] ?? 0
    this.#addToPool(POOL_F64.bytesReceived, read - this.#bytesRead)
    this.#addToPool(POOL_F64.bytesSent, written - this.#bytesWritten)
    this.#bytesRead = read
    this.#bytesWritten = written
  }

  #observe(histogram: number, milliseconds: number): void {
    this.#addToPool(histogram + histogramBucket(milliseconds), 1)
  }

  #addToPool(field: number, value: number): void {
    if (this.#pool >= 0) this.#add(this.#host.pools, this.#pool + field, value)
  }

  #add(region: Region, at: number, value: number): void {
    region.f64[at] = (region.f64[at] ?? 0) + value
  }
}
