import { type AdoptionVerdict, adoptable } from '../continuity/adoptable.ts'
import type { BufferArena } from '../io/buffer-arena.ts'
import type { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { receive, send, shutdownWrite } from '../io/socket.ts'
import { CLIENT, CLIENT_FLAG, CLIENT_STATE, CLIENT_STATE_NAMES } from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import { SERVER, SERVER_STATE } from '../memory/server-slots.ts'
import { writeError } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'

/** What a client may have sent in vain: bytes that nobody reads would make the kernel discard our last words. */
const MOST_UNREAD_READS = 16

export interface AdoptionHost {
  readonly planeIndex: number
  readonly clients: Region
  readonly servers: Region
  readonly arena: BufferArena
  /** Messages of our own on their way to a socket. */
  readonly outbound: NativeBuffer
}

/** What became of the connections of a plane that died. */
export interface AdoptionReport {
  readonly clients: number
  readonly servers: number
  /** Clients that were told that their session is over. */
  readonly told: number
  /** How many clients could not be kept, by the reason. */
  readonly reasons: Readonly<Record<string, number>>
}

export interface KeeperNews {
  /** The keeper may give the slot to somebody else. */
  gone(client: SlotReference): void
  drop(server: SlotReference): void
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
  #clients: Kept[] = []
  #servers: Kept[] = []

  constructor(host: AdoptionHost, keeper: KeeperNews) {
    this.#host = host
    this.#keeper = keeper
  }

  addClient(slot: SlotReference, fd: OwnedFd): void {
    this.#clients.push({ slot, fd })
  }

  addServer(slot: SlotReference, fd: OwnedFd): void {
    this.#servers.push({ slot, fd })
  }

  /** All are there. No session of this plane may exist yet: server slots and buffers that nobody goes on with are freed. */
  complete(): AdoptionReport {
    const reasons: Record<string, number> = {}
    let told = 0
    for (const client of this.#clients) {
      const { canBeTold, reason } = this.#judge(client.slot.slot)
      reasons[reason] = (reasons[reason] ?? 0) + 1
      if (this.#refuse(client, canBeTold)) told++
    }
    for (const { slot, fd } of this.#servers) {
      fd.close()
      this.#keeper.drop(slot)
    }
    this.#freeServerSlots()
    this.#host.arena.rebuild(this.#buffersInUse())
    const report = { clients: this.#clients.length, servers: this.#servers.length, told, reasons }
    this.#clients = []
    this.#servers = []
    return report
  }

  #judge(slot: number): AdoptionVerdict {
    const { clients, servers } = this.#host
    const i = slot * (clients.recordBytes >> 2)
    const server = (clients.i32[i + CLIENT.server] ?? 0) - 1
    return adoptable({
      state: CLIENT_STATE_NAMES[clients.i32[i + CLIENT.state] ?? 0] ?? 'free',
      tls: ((clients.i32[i + CLIENT.flags] ?? 0) & CLIENT_FLAG.tls) !== 0,
      outboxBytes: clients.i32[i + CLIENT.outboxBytes] ?? 0,
      bodyRemaining: server < 0 ? 0 : (servers.i32[server * (servers.recordBytes >> 2) + SERVER.bodyRemaining] ?? 0),
    })
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
