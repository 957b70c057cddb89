/**
 * What keeper and plane say to each other over their SEQPACKET channel: one packet is one operation on one or more
 * slots, and descriptors ride along in the order of the records. Bulk state is in shared memory, never here.
 *
 *   packet    op u8, zero u8, count u16, then `count` records; integers are little-endian
 *   STANDBY       plane → keeper  no records: booted, and waits for its predecessor's end
 *   KEEP-SERVERS  keeper → plane  slot u32, generation u32: a server connection that the predecessor had
 *   KEEP-CLIENTS  keeper → plane  slot u32, generation u32: a client that the predecessor had
 *                                 both with one descriptor per record, which the plane owns from here on
 *   AHEAD         keeper → plane  slot u32, generation u32: a client that the predecessor still serves, one descriptor per record,
 *                                 which the plane owns from here on; only to one that is to follow a plane that works, and knows this
 *   PREPARED      plane → keeper  no records: it has taken one more AHEAD
 *   ENDED         keeper → plane  slot u32, generation u32: one of those of AHEAD that the predecessor had no more
 *   SERVE         keeper → plane  no records: that was all of the predecessor, which is gone; serve from now on
 *   READY         plane → keeper  no records: clients may come
 *   NEW           keeper → plane  slot u32, generation u32, remote port u16, local port u16, family u8, length u8,
 *                                 address; one descriptor per record, which the plane owns from here on
 *   GONE          plane → keeper  slot u32, generation u32: the plane closed its descriptor of that client
 *   PUT           plane → keeper  slot u32, generation u32 of a server connection, one descriptor per record to keep
 *   DROP          plane → keeper  slot u32, generation u32: the plane closed that server connection
 *   RELEASE       keeper → plane  no records: finish this wake-up and exit
 *   RELEASED      plane → keeper  no records: it has, and touches no connection and no shared memory any more
 *   LISTENER      both ways       a place where clients connect, as JSON, with its descriptor: a plane keeps it for the next
 *                                 keeper
 *   ADOPT         plane → keeper  plane u32, generation u32, process id u32, how many LISTENER follow u32; descriptors of the
 *                                 shared memory and of the lock that tells that planes live: the keeper of before is gone
 *   HAVE          plane → keeper  slot u32, generation u32 of a client that it serves, one descriptor per record to keep
 *
 * A plane's life in this order: STANDBY, any number of AHEAD, each answered by PREPARED, of KEEP-…, ENDED and LISTENER, SERVE, READY, then the others as they come, RELEASE,
 * RELEASED. When the channel ends without RELEASE the keeper is dead, and the plane dials the next one: ADOPT, LISTENER, any number of
 * HAVE and PUT, READY, and then again the others. A slot number comes back as soon as it is free; the generation tells one
 * owner of the slot from the next.
 */

import type { ListeningPlace } from './keeper-control-protocol.ts'
import {
  KeeperProtocolError,
  readAdoptee,
  readHeader,
  readNewClients,
  readPlace,
  readReferences,
  requireBare,
  writeAdoptee,
  writeHeader,
  writeNewClients,
  writePlace,
  writeReferences,
} from './keeper-packets.ts'

/** The most records in one NEW, PUT, AHEAD or KEEP-…, which carry a descriptor each. The kernel allows 253 per message. */
export const MAX_PACKET_DESCRIPTORS = 64
/** The most records in one GONE, DROP or ENDED. */
export const MAX_PACKET_REFERENCES = 250
/** No packet is longer, so this is the size of both sides' buffers. */
export const MAX_PACKET_BYTES = 4096

/** 4 and 6 are Internet addresses, 1 is a Unix socket: it has no address and no ports. */
export type ClientFamily = 1 | 4 | 6

/** A client that the keeper has accepted. */
export interface NewClient {
  readonly slot: number
  readonly generation: number
  readonly family: ClientFamily
  readonly remotePort: number
  readonly localPort: number
  /** Numeric, `''` for a Unix socket. */
  readonly address: string
}

/** A slot, and which of its owners is meant. */
export interface SlotReference {
  readonly slot: number
  readonly generation: number
}

/** What a plane says of itself to a keeper that did not start it. */
export interface Adoptee {
  readonly plane: number
  readonly generation: number
  readonly pid: number
  /** So many LISTENER follow. */
  readonly listeners: number
}

export type KeeperMessage =
  | { readonly op: 'listener'; readonly place: ListeningPlace }
  | { readonly op: 'new'; readonly clients: readonly NewClient[] }
  | { readonly op: 'keep-clients'; readonly clients: readonly SlotReference[] }
  | { readonly op: 'keep-servers'; readonly servers: readonly SlotReference[] }
  | { readonly op: 'ahead'; readonly clients: readonly SlotReference[] }
  | { readonly op: 'ended'; readonly clients: readonly SlotReference[] }
  | { readonly op: 'serve' }
  | { readonly op: 'release' }

export type PlaneMessage =
  | { readonly op: 'listener'; readonly place: ListeningPlace }
  | { readonly op: 'adopt'; readonly adoptee: Adoptee }
  | { readonly op: 'have'; readonly clients: readonly SlotReference[] }
  | { readonly op: 'standby' }
  | { readonly op: 'prepared' }
  | { readonly op: 'ready' }
  | { readonly op: 'gone'; readonly clients: readonly SlotReference[] }
  | { readonly op: 'put'; readonly servers: readonly SlotReference[] }
  | { readonly op: 'drop'; readonly servers: readonly SlotReference[] }
  | { readonly op: 'released' }

const OP = {
  new: 1,
  ready: 2,
  gone: 3,
  put: 4,
  drop: 5,
  keepClients: 6,
  keepServers: 7,
  serve: 8,
  release: 9,
  standby: 10,
  listener: 11,
  adopt: 12,
  have: 13,
  released: 14,
  ahead: 15,
  prepared: 16,
  ended: 17,
} as const

/** Writes the packet at the start of `into` (at least MAX_PACKET_BYTES long); returns its length. */
export function encodeKeeperMessage(message: KeeperMessage, into: Buffer): number {
  switch (message.op) {
    case 'new':
      return writeNewClients(into, OP.new, message.clients, MAX_PACKET_DESCRIPTORS)
    case 'keep-clients':
      return writeReferences(into, OP.keepClients, message.clients, MAX_PACKET_DESCRIPTORS)
    case 'keep-servers':
      return writeReferences(into, OP.keepServers, message.servers, MAX_PACKET_DESCRIPTORS)
    case 'ahead':
      return writeReferences(into, OP.ahead, message.clients, MAX_PACKET_DESCRIPTORS)
    case 'ended':
      return writeReferences(into, OP.ended, message.clients, MAX_PACKET_REFERENCES)
    case 'serve':
      return writeHeader(into, OP.serve, 0, 0)
    case 'release':
      return writeHeader(into, OP.release, 0, 0)
    case 'listener':
      return writePlace(into, OP.listener, message.place)
  }
}

/** The message in `bytes`; throws `KeeperProtocolError` for anything else. Nothing of `bytes` is kept. */
export function decodeKeeperMessage(bytes: Buffer): KeeperMessage {
  const { op, count } = readHeader(bytes)
  switch (op) {
    case OP.new:
      return { op: 'new', clients: readNewClients(bytes, count, MAX_PACKET_DESCRIPTORS) }
    case OP.keepClients:
      return { op: 'keep-clients', clients: readReferences(bytes, count, MAX_PACKET_DESCRIPTORS) }
    case OP.keepServers:
      return { op: 'keep-servers', servers: readReferences(bytes, count, MAX_PACKET_DESCRIPTORS) }
    case OP.ahead:
      return { op: 'ahead', clients: readReferences(bytes, count, MAX_PACKET_DESCRIPTORS) }
    case OP.ended:
      return { op: 'ended', clients: readReferences(bytes, count, MAX_PACKET_REFERENCES) }
    case OP.serve:
      requireBare('SERVE', bytes, count)
      return { op: 'serve' }
    case OP.release:
      requireBare('RELEASE', bytes, count)
      return { op: 'release' }
    case OP.listener:
      return { op: 'listener', place: readPlace(bytes) }
    default:
      throw new KeeperProtocolError(`operation ${op} from the keeper`)
  }
}

/** Whether a packet that begins with this byte is AHEAD. */
export function isAhead(firstByte: number): boolean {
  return firstByte === OP.ahead
}

/** Writes the packet at the start of `into` (at least MAX_PACKET_BYTES long); returns its length. */
export function encodePlaneMessage(message: PlaneMessage, into: Buffer): number {
  switch (message.op) {
    case 'standby':
      return writeHeader(into, OP.standby, 0, 0)
    case 'prepared':
      return writeHeader(into, OP.prepared, 0, 0)
    case 'ready':
      return writeHeader(into, OP.ready, 0, 0)
    case 'released':
      return writeHeader(into, OP.released, 0, 0)
    case 'gone':
      return writeReferences(into, OP.gone, message.clients, MAX_PACKET_REFERENCES)
    case 'put':
      return writeReferences(into, OP.put, message.servers, MAX_PACKET_DESCRIPTORS)
    case 'drop':
      return writeReferences(into, OP.drop, message.servers, MAX_PACKET_REFERENCES)
    case 'listener':
      return writePlace(into, OP.listener, message.place)
    case 'adopt':
      return writeAdoptee(into, OP.adopt, message.adoptee)
    case 'have':
      return writeReferences(into, OP.have, message.clients, MAX_PACKET_DESCRIPTORS)
  }
}

/** The message in `bytes`; throws `KeeperProtocolError` for anything else. Nothing of `bytes` is kept. */
export function decodePlaneMessage(bytes: Buffer): PlaneMessage {
  const { op, count } = readHeader(bytes)
  switch (op) {
    case OP.standby:
      requireBare('STANDBY', bytes, count)
      return { op: 'standby' }
    case OP.prepared:
      requireBare('PREPARED', bytes, count)
      return { op: 'prepared' }
    case OP.ready:
      requireBare('READY', bytes, count)
      return { op: 'ready' }
    case OP.released:
      requireBare('RELEASED', bytes, count)
      return { op: 'released' }
    case OP.gone:
      return { op: 'gone', clients: readReferences(bytes, count, MAX_PACKET_REFERENCES) }
    case OP.put:
      return { op: 'put', servers: readReferences(bytes, count, MAX_PACKET_DESCRIPTORS) }
    case OP.drop:
      return { op: 'drop', servers: readReferences(bytes, count, MAX_PACKET_REFERENCES) }
    case OP.listener:
      return { op: 'listener', place: readPlace(bytes) }
    case OP.adopt:
      return { op: 'adopt', adoptee: readAdoptee(bytes) }
    case OP.have:
      return { op: 'have', clients: readReferences(bytes, count, MAX_PACKET_DESCRIPTORS) }
    default:
      throw new KeeperProtocolError(`operation ${op} from a plane`)
  }
}
