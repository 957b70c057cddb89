import type { SessionRecord, SessionRecords } from '../client/session-records.ts'
import { adoptable, type KeptClient } from '../continuity/adoptable.ts'
import type { ClientOutcome } from '../continuity/report.ts'
import type { BufferArena } from '../io/buffer-arena.ts'
import { type KernelPosition, kernelPosition } from '../io/kernel-position.ts'
import type { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { receive, send, shutdownWrite } from '../io/socket.ts'
import {
  CLIENT,
  CLIENT_F64,
  CLIENT_FLAG,
  CLIENT_STATE,
  CLIENT_STATE_NAMES,
  CLIENT_TEXT,
} from '../memory/client-slots.ts'
import type { NewClient, SlotReference } from '../memory/keeper-protocol.ts'
import type { DroppedClient } from '../memory/preservation.ts'
import type { Region } from '../memory/region.ts'
import { SERVER, SERVER_STATE } from '../memory/server-slots.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { writeError } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'

/** What a client may have sent in vain: bytes that nobody reads would make the kernel discard our last words. */
const MOST_UNREAD_READS = 16

export interface AdoptionHost {
  readonly planeIndex: number
  readonly clients: Region
  readonly servers: Region
  readonly arena: BufferArena
  readonly records: SessionRecords
  /** Messages of our own on their way to a socket. */
  readonly outbound: NativeBuffer
}

/** What became of the connections of a plane that died. */
export interface AdoptionReport {
  readonly servers: number
  /** Of every client. */
  readonly outcomes: readonly ClientOutcome[]
}

export interface KeeperNews {
  /** The keeper may give the slot to somebody else. */
  gone(client: SlotReference): void
  drop(server: SlotReference): void
}

/** A client to go on with. */
export interface AdoptedClient {
  readonly client: NewClient
  readonly fd: OwnedFd
  readonly record: SessionRecord
}

interface Kept {
  readonly slot: SlotReference
  readonly fd: OwnedFd
}

/**
 * What becomes of the connections that this plane's predecessor had. They come one by one; when all are there, `complete`
 * decides. Owns their descriptors until then.
 */
export class Adoption {
  readonly #host: AdoptionHost
  readonly #keeper: KeeperNews
  readonly #inProgress: number
  #adopted: AdoptedClient[] = []
  #clients: Kept[] = []
  #servers: Kept[] = []

  /** `inProgress`: the `slotMark` of whose event the predecessor was serving when it died. */
  constructor(host: AdoptionHost, keeper: KeeperNews, inProgress: number) {
    this.#host = host
    this.#keeper = keeper
    this.#inProgress = inProgress
  }

  /** Those to go on with, once: their sessions can begin when there are values to serve them by. */
  takeAdopted(): readonly AdoptedClient[] {
    const adopted = this.#adopted
    this.#adopted = []
    return adopted
  }

  addClient(slot: SlotReference, fd: OwnedFd): void {
    this.#clients.push({ slot, fd })
  }

  addServer(slot: SlotReference, fd: OwnedFd): void {
    this.#servers.push({ slot, fd })
  }

  /** All are there. No session of this plane may exist yet: server slots and buffers that nobody goes on with are freed. */
  complete(): AdoptionReport {
    const outcomes: ClientOutcome[] = []
    for (const client of this.#clients) {
      const { slot } = client.slot
      const record = this.#host.records.read(slot)
      const position = kernelPosition(client.fd)
      const verdict = adoptable(this.#describe(slot, position, record !== null))
      if (verdict.adopted && record !== null && position !== null) {
        this.#adopt(client, record, position)
        outcomes.push({ kept: true, ...client.slot })
        continue
      }
      const { canBeTold, reason } = verdict.adopted ? UNREADABLE : verdict
      const who = this.#whoIs(client.slot)
      outcomes.push({ kept: false, client: { ...who, reason, told: this.#refuse(client, canBeTold) } })
    }
    for (const { slot, fd } of this.#servers) {
      fd.close()
      this.#keeper.drop(slot)
    }
    this.#freeServerSlots()
    this.#host.arena.rebuild(this.#buffersInUse())
    const report = { servers: this.#servers.length, outcomes }
    this.#clients = []
    this.#servers = []
    return report
  }

  #describe(slot: number, position: KernelPosition | null, isRecorded: boolean): KeptClient {
    const { clients, servers } = this.#host
    const integer = (field: number): number => clients.i32[slot * (clients.recordBytes >> 2) + field] ?? 0
    const total = (field: number): number => clients.f64[slot * (clients.recordBytes >> 3) + field] ?? 0
    const server = integer(CLIENT.server) - 1
    return {
      state: CLIENT_STATE_NAMES[integer(CLIENT.state)] ?? 'free',
      tls: (integer(CLIENT.flags) & CLIENT_FLAG.tls) !== 0,
      pins: integer(CLIENT.pins),
      channels: integer(CLIENT.channels),
      outboxBytes: integer(CLIENT.outboxBytes),
      bodyRemaining: server < 0 ? 0 : (servers.i32[server * (servers.recordBytes >> 2) + SERVER.bodyRemaining] ?? 0),
      heldBytes: integer(CLIENT.heldBytes),
      bytesRead: total(CLIENT_F64.bytesRead),
      bytesWritten: total(CLIENT_F64.bytesWritten),
      position,
      wasServed: slotMark(clients, slot) === this.#inProgress,
      isRecorded,
    }
  }

  /** What its slot says is true from now on. */
  #adopt({ slot: reference, fd }: Kept, record: SessionRecord, position: KernelPosition): void {
    const { slot, generation } = reference
    const { clients } = this.#host
    const i = slot * (clients.recordBytes >> 2)
    clients.f64[slot * (clients.recordBytes >> 3) + CLIENT_F64.bytesWritten] = position.written
    clients.i32[i + CLIENT.heldBytes] = 0
    clients.i32[i + CLIENT.server] = 0
    clients.i32[i + CLIENT.outstanding] = 0
    const address = clients.readText(slot, CLIENT_TEXT.address.offset)
    const client: NewClient = {
      slot,
      generation,
      family: address.includes(':') ? 6 : 4,
      remotePort: clients.i32[i + CLIENT.remotePort] ?? 0,
      localPort: clients.i32[i + CLIENT.localPort] ?? 0,
      address,
    }
    this.#adopted.push({ client, fd, record })
  }

  #whoIs({ slot, generation }: SlotReference): Omit<DroppedClient, 'reason' | 'told'> {
    const { clients } = this.#host
    const text = (field: { readonly offset: number }): string => clients.readText(slot, field.offset)
    return {
      slot,
      generation,
      user: text(CLIENT_TEXT.user),
      database: text(CLIENT_TEXT.database),
      applicationName: text(CLIENT_TEXT.applicationName),
      address: text(CLIENT_TEXT.address),
      remotePort: clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.remotePort] ?? 0,
    }
  }

  /** Ends the connection; true when the client was told why. */
  #refuse({ slot, fd }: Kept, canBeTold: boolean): boolean {
    const isTold = canBeTold && this.#tell(fd)
    fd.close()
    const { clients } = this.#host
    const i = slot.slot * (clients.recordBytes >> 2)
    clients.i32[i + CLIENT.state] = CLIENT_STATE.closing
    for (const field of [CLIENT.inboxHandle, CLIENT.inboxBytes, CLIENT.outboxHandle, CLIENT.outboxBytes]) {
      clients.i32[i + field] = 0
    }
    this.#keeper.gone(slot)
    return isTold
  }

  #tell(fd: OwnedFd): boolean {
    const { outbound } = this.#host
    const { bytes } = LAST_WORDS
    outbound.bytes.set(bytes)
    if (send(fd, outbound, 0, bytes.length) !== bytes.length) return false
    shutdownWrite(fd)
    for (let reads = 0; reads < MOST_UNREAD_READS; reads++) if (receive(fd, outbound, 0, outbound.size) <= 0) break
    return true
  }

  /** Also those that the keeper had no descriptor of. */
  #freeServerSlots(): void {
    const { servers, planeIndex } = this.#host
    for (let slot = 0; slot < servers.count; slot++) {
      const i = slot * (servers.recordBytes >> 2)
      if (servers.i32[i + SERVER.state] === SERVER_STATE.free || servers.i32[i + SERVER.plane] !== planeIndex) continue
      servers.clear(slot)
    }
  }

  /** Handles of the buffers that a slot of this plane refers to. */
  #buffersInUse(): readonly number[] {
    const { clients, servers, planeIndex } = this.#host
    return [...handles(clients, CLIENT, planeIndex), ...handles(servers, SERVER, planeIndex)]
  }
}

const UNREADABLE = { reason: 'its session cannot be read', canBeTold: false } as const
const LAST_WORDS = new MessageWriter()
writeError(LAST_WORDS, {
  severity: 'FATAL',
  sqlstate: '57P01',
  message: 'terminating connection due to administrator command',
  hint: 'In a moment you should be able to reconnect to the database and repeat your command.',
})

type Fields = Pick<typeof CLIENT, 'state' | 'plane' | 'inboxHandle' | 'outboxHandle'>

function* handles(region: Region, fields: Fields, planeIndex: number): Generator<number> {
  for (let slot = 0; slot < region.count; slot++) {
    const i = slot * (region.recordBytes >> 2)
    if (region.i32[i + fields.state] === 0 || region.i32[i + fields.plane] !== planeIndex) continue
    for (const field of [fields.inboxHandle, fields.outboxHandle]) {
      const handle = region.i32[i + field] ?? 0
      if (handle !== 0) yield handle
    }
  }
}
