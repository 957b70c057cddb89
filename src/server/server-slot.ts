import { TlsSession } from '../io/tls-session.ts'
import {
  SERVER,
  SERVER_F64,
  SERVER_FLAG,
  SERVER_TEXT,
  type ServerState,
  serverStateCode,
} from '../memory/server-slots.ts'
import type { Shard } from '../shard/topology.ts'
import type { ServerHost } from './server-host.ts'
import { encodeTarget, type ServerKind } from './server-kind.ts'
import type { LoginResult } from './server-login.ts'
import type { ServerTarget } from './server-target.ts'

/** The server connection's side of its slot in shared memory: what others read of it, and what it must not forget. */
export class ServerSlot {
  readonly #host: ServerHost
  readonly #slot: number
  readonly #i: number
  readonly #f: number

  /** Clears the slot of whatever a connection before it left there, unless `isKept`: then it is this connection's. */
  constructor(host: ServerHost, slot: number, shard: Shard, poolRecord: number, isKept: boolean) {
    this.#host = host
    this.#slot = slot
    this.#i = slot * (host.servers.recordBytes >> 2)
    this.#f = slot * (host.servers.recordBytes >> 3)
    if (!isKept) host.servers.clear(slot)
    this.#set(SERVER.plane, host.planeIndex)
    this.#set(SERVER.pool, poolRecord + 1)
    if (isKept) return
    this.#set(SERVER.remotePort, shard.port)
    this.#setTime(SERVER_F64.connectedAt, host.now)
    this.#text('address', shard.host)
  }

  get createdAt(): number {
    return this.#host.servers.f64[this.#f + SERVER_F64.connectedAt] ?? 0
  }

  /** What it said at login to another process. Throws when that cannot be read. */
  get login(): LoginResult {
    const { servers, store } = this.#host
    const { i32, bytes, recordBytes } = servers
    const reported = store.get(i32[this.#i + SERVER.reportedId] ?? 0)
    if (reported === null) throw new Error(`server connection ${this.#slot}: what it reported is not in the store`)
    const keyAt = this.#slot * recordBytes + SERVER_TEXT.cancelKey.offset
    return {
      reported: new Map(JSON.parse(reported.toString('utf8')) as [string, string][]),
      backendPid: i32[this.#i + SERVER.backendPid] ?? 0,
      cancelKey: Buffer.from(bytes.subarray(keyAt, keyAt + (i32[this.#i + SERVER.cancelKeyBytes] ?? 0))),
    }
  }

  get idleSince(): number {
    return this.#host.servers.f64[this.#f + SERVER_F64.idleSince] ?? 0
  }

  state(state: ServerState): void {
    this.#set(SERVER.state, serverStateCode(state))
  }

  /** `written`: what the kernel counts although nothing has been. */
  connected(localPort: number, written: number): void {
    this.#set(SERVER.localPort, localPort)
    this.#set(SERVER.writtenBase, written)
  }

  /** Its keys and counters of TLS, which outlive this process. */
  get tlsSession(): TlsSession {
    return new TlsSession(this.#host.serverTlsRecords, this.#slot, this.#host.arena)
  }

  get isTls(): boolean {
    return ((this.#host.servers.i32[this.#i + SERVER.flags] ?? 0) & SERVER_FLAG.tls) !== 0
  }

  secured(tls: string): void {
    this.#set(SERVER.flags, (this.#host.servers.i32[this.#i + SERVER.flags] ?? 0) | SERVER_FLAG.tls)
    this.#text('tls', tls)
  }

  loggedIn({ backendPid, cancelKey, reported }: LoginResult, target: ServerTarget, kind: ServerKind): void {
    const { servers, store } = this.#host
    this.#set(SERVER.backendPid, backendPid)
    this.#text('serverVersion', reported.get('server_version') ?? '')
    this.#set(SERVER.cancelKeyBytes, cancelKey.length)
    cancelKey.copy(servers.bytes, this.#slot * servers.recordBytes + SERVER_TEXT.cancelKey.offset)
    this.#set(SERVER.reportedId, store.put(Buffer.from(JSON.stringify([...reported]))))
    this.#set(SERVER.targetId, store.put(encodeTarget(target, kind)))
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
