import assert from 'node:assert/strict'
import { arch } from 'node:os'
import type { TestContext } from 'node:test'
import { SessionRecordReader } from '../client/session-record-reader.ts'
import { openArena, openTcpPair, RawPeer } from '../io/link-host.fixture.ts'
import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { Poller } from '../io/poller.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { openSocketPair } from '../io/socket.ts'
import {
  CLIENT,
  CLIENT_SECTION,
  CLIENT_SECTIONS,
  CLIENT_STATE,
  CLIENT_TEXT,
  type ClientState,
} from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import { CLIENT_SLOT_BYTES, SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { SERVER, SERVER_SECTIONS, SERVER_STATE, type ServerState } from '../memory/server-slots.ts'
import { nextSection, SECTION } from '../memory/slot-section.ts'
import { STEP_LOG_BYTES, StepLog } from '../memory/step-log.ts'
import { TLS_RECORD_BYTES } from '../memory/tls-records.ts'
import { ValueStore } from '../memory/value-store.ts'
import { ParameterRegistry } from '../session/parameters.ts'
import { StatementRegistry } from '../session/prepared-statements.ts'
import type { AdoptionReport } from './adopted.ts'
import { Adoption } from './adoption.ts'

/** The plane whose connections are looked at. */
export const PLANE = 1
/** 32-bit words of a client slot. */
export const WORDS = CLIENT_SLOT_BYTES >> 2
/** Slots of clients and servers, and a buffer that a read landed in, in one memory as they are. */
const SLOTS = 8
/** Where that buffer begins. */
export const READ_AT = SLOTS * (CLIENT_SLOT_BYTES + SERVER_SLOT_BYTES)

interface Written {
  readonly read?: number
  readonly written?: number
  readonly inbox?: string
  readonly outbox?: string
  readonly peer?: number
  readonly flags?: number
  readonly body?: number
}

/** For tests: what a plane that is gone has left in shared memory and in the kernel, and the adoption of it. */
export class AdoptionBench {
  readonly memory = new ArrayBuffer(READ_AT + READ_HEADROOM + 4096)
  readonly clients = new Region(this.memory, 0, CLIENT_SLOT_BYTES, SLOTS)
  readonly servers = new Region(this.memory, SLOTS * CLIENT_SLOT_BYTES, SERVER_SLOT_BYTES, SLOTS)
  readonly read = Buffer.from(this.memory, READ_AT)
  readonly arena = openArena(4 * 1024 * 1024).arena
  readonly log = new StepLog(Buffer.alloc(STEP_LOG_BYTES))
  readonly gone: SlotReference[] = []
  readonly dropped: SlotReference[] = []
  readonly keptSlots: SlotReference[] = []
  readonly poller = new Poller(arch())
  readonly adoption: Adoption
  readonly #t: TestContext
  readonly #openPair: () => [OwnedFd, OwnedFd]
  readonly #identity: number
  readonly #settings: number

  /** `inProgress`: whose event the plane was serving when it died. `isUnix`: connections are Unix sockets. */
  constructor(t: TestContext, { inProgress = 0, isUnix = false } = {}) {
    this.#t = t
    this.#openPair = isUnix ? openSocketPair : openTcpPair
    const { clients, servers, arena, gone, dropped, keptSlots, log } = this
    const store = new ValueStore(Buffer.alloc(4096))
    const credential = { password: null, md5Hash: null, keys: null, scramPassword: null }
    this.#identity = store.put(Buffer.from(JSON.stringify({ user: 'anna', database: 'shop', credential })))
    this.#settings = store.put(Buffer.from(JSON.stringify([['timezone', 'UTC']])))
    const recorded = new SessionRecordReader(
      { store, clients, arena },
      new ParameterRegistry(),
      new StatementRegistry(),
    )
    const outbound = NativeBuffer.allocate(4096)
    const tlsRecords = (count: number): Region =>
      new Region(new ArrayBuffer(count * TLS_RECORD_BYTES), 0, TLS_RECORD_BYTES, count)
    const clientTlsRecords = tlsRecords(clients.count)
    const serverTlsRecords = tlsRecords(servers.count)
    const keepServerSlot = (slot: SlotReference): number => keptSlots.push(slot)
    const { poller } = this
    t.after(() => poller.close())
    const reads = [{ bytes: this.read } as NativeBuffer]
    this.adoption = new Adoption(
      {
        planeIndex: PLANE,
        clients,
        servers,
        clientTlsRecords,
        serverTlsRecords,
        arena,
        recorded,
        outbound,
        keepServerSlot,
        poller,
      },
      { gone: (slot) => gone.push(slot), drop: (slot) => dropped.push(slot) },
      { log, reads, inProgress, keptHandle: 0 },
    )
    log.begin()
  }

  /** A client of the plane that died, as it was committed; what it sees, and our end of it. */
  client(
    slot: number,
    state: ClientState,
    written: Written = {},
    flags = 0,
    watch: (fd: OwnedFd) => number = () => -1,
  ): { peer: RawPeer; fd: OwnedFd } {
    const { i32 } = this.clients
    i32[slot * WORDS + CLIENT.state] = CLIENT_STATE[state]
    i32[slot * WORDS + CLIENT.plane] = PLANE
    i32[slot * WORDS + CLIENT.flags] = flags
    i32[slot * WORDS + CLIENT.remotePort] = 4321
    i32[slot * WORDS + CLIENT.identityId] = this.#identity
    this.clients.writeText(slot, CLIENT_TEXT.address.offset, CLIENT_TEXT.address.capacity, '127.0.0.1')
    const at = this.#section(this.clients, slot, CLIENT_SECTIONS, CLIENT_STATE[state], written)
    i32[at + CLIENT_SECTION.initialId] = this.#settings
    i32[at + CLIENT_SECTION.parametersId] = this.#settings
    return this.#connection((fd) => this.adoption.addClient({ slot, generation: 9 }, fd, watch(fd)))
  }

  server(slot: number, state: ServerState, written: Written = {}): { peer: RawPeer; fd: OwnedFd } {
    const { i32 } = this.servers
    i32[slot * WORDS + SERVER.state] = SERVER_STATE[state]
    i32[slot * WORDS + SERVER.plane] = PLANE
    this.#section(this.servers, slot, SERVER_SECTIONS, SERVER_STATE[state], written)
    return this.#connection((fd) => this.adoption.addServer({ slot, generation: 5 }, fd))
  }

  #section(region: Region, slot: number, offset: number, state: number, written: Written): number {
    const { i32, f64 } = region
    const at = nextSection(region, slot, offset)
    f64[(at + SECTION.read) >> 1] = written.read ?? 0
    f64[(at + SECTION.written) >> 1] = written.written ?? 0
    i32[at + SECTION.state] = state
    i32[at + SECTION.peer] = written.peer === undefined ? 0 : written.peer + 1
    i32[at + SECTION.flags] = written.flags ?? 0
    i32[at + SECTION.body] = written.body ?? 0
    const keep = (text: string | undefined, handle: number, bytes: number): void => {
      if (text === undefined) return
      i32[at + handle] = this.arena.allocate(text.length)
      i32[at + bytes] = text.length
      this.arena.memory.bytes.write(text, this.arena.offset(i32[at + handle] as number), 'latin1')
    }
    keep(written.inbox, SECTION.inboxHandle, SECTION.inboxBytes)
    keep(written.outbox, SECTION.outboxHandle, SECTION.outboxBytes)
    f64[at >> 1] = 1
    return at
  }

  /** A client of which nothing was ever committed, in the second step of the plane. */
  first(
    slot: number,
    state: ClientState,
    { generation = 9, flags = 0 } = {},
  ): { readonly peer: RawPeer; readonly fd: OwnedFd } {
    const { i32 } = this.clients
    i32[slot * WORDS + CLIENT.state] = CLIENT_STATE[state]
    i32[slot * WORDS + CLIENT.generation] = generation
    i32[slot * WORDS + CLIENT.flags] = flags
    if (this.log.committed === 0) this.commit()
    this.log.begin()
    // As its links would have written it.
    const at = nextSection(this.clients, slot, CLIENT_SECTIONS)
    i32[at + SECTION.state] = CLIENT_STATE[state]
    i32[at + SECTION.extraHandle] = 77
    this.clients.f64[at >> 1] = 2
    return this.#connection((fd) => this.adoption.addClient({ slot, generation: 9 }, fd, -1))
  }

  /** Everything so far counts, and this much of the sends. */
  commit(sends = 0): void {
    this.log.commit(sends)
  }

  #connection(add: (fd: OwnedFd) => void): { peer: RawPeer; fd: OwnedFd } {
    const [theirs, mine] = this.#openPair()
    const peer = new RawPeer(theirs)
    this.#t.after(() => {
      peer.close()
      if (!mine.closed) mine.close()
    })
    add(mine)
    return { peer, fd: mine }
  }

  waiting(slot: number, handle: number, bytes: number): string {
    const { i32 } = this.clients
    const at = this.arena.offset(i32[slot * WORDS + handle] as number)
    return this.arena.memory.bytes.toString('latin1', at, at + (i32[slot * WORDS + bytes] as number))
  }
}

/** Why clients were not gone on with. */
export const reasons = ({ outcomes }: AdoptionReport): readonly string[] =>
  outcomes.map((outcome) => (outcome.kept ? 'kept' : `${outcome.client.reason}${outcome.client.told ? ', told' : ''}`))

/** Everything that the peer was sent, up to the end of the connection. */
export function heard(peer: RawPeer): Buffer {
  const parts: Buffer[] = []
  const deadline = performance.now() + 5000
  for (let part = peer.receive(); part !== null; part = peer.receive()) {
    assert.ok(performance.now() < deadline, 'the connection was not ended')
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Our end has read everything that the peer has sent. */
export function readAll(fd: OwnedFd, bytes: number): void {
  const deadline = performance.now() + 5000
  for (let left = bytes; left > 0; left -= new RawPeer(fd).receive()?.length ?? 0) {
    assert.ok(performance.now() < deadline, 'not all has come')
  }
}
