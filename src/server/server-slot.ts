import { SERVER, SERVER_F64, SERVER_FLAG, SERVER_STATE, SERVER_TEXT, type ServerState } from '../memory/server-slots.ts'
import type { Shard } from '../shard/topology.ts'
import type { ServerHost } from './server-host.ts'

/** The server connection's side of its slot in shared memory: what others read of it, and what it must not forget. */
export class ServerSlot {
  readonly #host: ServerHost
  readonly #slot: number
  readonly #i: number
  readonly #f: number

  /** Clears the slot: whatever a connection before it left there. */
  constructor(host: ServerHost, slot: number, shard: Shard, poolRecord: number) {
    this.#host = host
    this.#slot = slot
    this.#i = slot * (host.servers.recordBytes >> 2)
    this.#f = slot * (host.servers.recordBytes >> 3)
    host.servers.clear(slot)
    this.#set(SERVER.plane, host.planeIndex)
    this.#set(SERVER.pool, poolRecord + 1)
    this.#set(SERVER.remotePort, shard.port)
    this.#setTime(SERVER_F64.connectedAt, host.now)
    this.#text('address', shard.host)
  }

  /** The ring of answers that the server owes. */
  get replies(): Buffer {
    const { bytes, recordBytes } = this.#host.servers
    const { offset, capacity } = SERVER_TEXT.replies
    return bytes.subarray(this.#slot * recordBytes + offset, this.#slot * recordBytes + offset + capacity)
  }

  get idleSince(): number {
    return this.#host.servers.f64[this.#f + SERVER_F64.idleSince] ?? 0
  }

  state(state: ServerState): void {
    this.#set(SERVER.state, SERVER_STATE[state])
  }

  connected(localPort: number): void {
    this.#set(SERVER.localPort, localPort)
  }

  secured(tls: string): void {
    this.#set(SERVER.flags, (this.#host.servers.i32[this.#i + SERVER.flags] ?? 0) | SERVER_FLAG.tls)
    this.#text('tls', tls)
  }

  loggedIn(backendPid: number, version: string): void {
    this.#set(SERVER.backendPid, backendPid)
    this.#text('serverVersion', version)
  }

  /** Some client's from now on. */
  attached(clientSlot: number): void {
    this.#set(SERVER.client, clientSlot + 1)
    this.#setTime(SERVER_F64.requestAt, this.#host.now)
  }

  detached(): void {
    this.#set(SERVER.client, 0)
    this.#setTime(SERVER_F64.requestAt, 0)
  }

  idle(): void {
    this.#setTime(SERVER_F64.idleSince, this.#host.now)
  }

  /** `prepared`: how many statements it knows. */
  answered(status: number, outstanding: number, prepared: number): void {
    this.#set(SERVER.transactionStatus, status)
    this.#set(SERVER.outstanding, outstanding)
    this.#set(SERVER.prepared, prepared)
  }

  /** Bytes still to come of a message whose beginning the client has. */
  remains(bytes: number): void {
    this.#set(SERVER.bodyRemaining, bytes)
  }

  /** The connection is gone: somebody else may have the slot. */
  free(): void {
    this.#host.servers.clear(this.#slot)
    this.#host.freeServerSlot(this.#slot)
  }

  #text(field: 'address' | 'tls' | 'serverVersion', text: string): void {
    const { offset, capacity } = SERVER_TEXT[field]
    this.#host.servers.writeText(this.#slot, offset, capacity, text)
  }

  #set(field: number, value: number): void {
    this.#host.servers.i32[this.#i + field] = value
  }

  #setTime(field: number, value: number): void {
    this.#host.servers.f64[this.#f + field] = value
  }
}
