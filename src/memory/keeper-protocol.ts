/**
 * What keeper and plane say to each other over their SEQPACKET channel: one packet is one operation on one or more
 * slots, and descriptors ride along in the order of the records. Bulk state is in shared memory, never here.
 *
 *   packet    op u8, zero u8, count u16, then `count` records; integers are little-endian
 *   STANDBY       plane → keeper  no records: booted, and waits for its predecessor's end
 *   KEEP-SERVERS  keeper → plane  slot u32, generation u32: a server connection that the predecessor had
 *   KEEP-CLIENTS  keeper → plane  slot u32, generation u32: a client that the predecessor had
 *                                 both with one descriptor per record, which the plane owns from here on
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
 * A plane's life in this order: STANDBY, any number of KEEP-… and LISTENER, SERVE, READY, then the others as they come, RELEASE,
 * RELEASED. When the channel ends without RELEASE the keeper is dead, and the plane dials the next one: ADOPT, LISTENER, any number of
 * HAVE and PUT, READY, and then again the others. A slot number comes back as soon as it is free; the generation tells one
 * owner of the slot from the next.
 */

import { CLIENT_TEXT } from './client-slots.ts'
import type { ListeningPlace } from './keeper-control-protocol.ts'

/** The most records in one NEW, PUT or KEEP-…, which carry a descriptor each. The kernel allows 253 per message. */
export const MAX_PACKET_DESCRIPTORS = 64
/** The most records in one GONE or DROP. */
export const MAX_PACKET_REFERENCES = 250
/** No packet is longer, so this is the size of both sides' buffers. */
export const MAX_PACKET_BYTES = 4096

/** 4 and 6 are Internet addresses, 1 is a Unix socket: it has no address and no ports. */
export type ClientFamily = 1 | 4 | 6

export interface NewClient {
  readonly slot: number
  readonly generation: number
  readonly family: ClientFamily
  readonly remotePort: number
  readonly localPort: number
  /** Numeric, `''` for a Unix socket. */
  readonly address: string
}

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
  | { readonly op: 'serve' }
  | { readonly op: 'release' }

export type PlaneMessage =
  | { readonly op: 'listener'; readonly place: ListeningPlace }
  | { readonly op: 'adopt'; readonly adoptee: Adoptee }
  | { readonly op: 'have'; readonly clients: readonly SlotReference[] }
  | { readonly op: 'standby' }
  | { readonly op: 'ready' }
  | { readonly op: 'gone'; readonly clients: readonly SlotReference[] }
  | { readonly op: 'put'; readonly servers: readonly SlotReference[] }
  | { readonly op: 'drop'; readonly servers: readonly SlotReference[] }
  | { readonly op: 'released' }

/** The peer sent bytes that no version of this protocol produces; the channel cannot be trusted any more. */
export class KeeperProtocolError extends Error {
  constructor(message: string) {
    super(`keeper protocol: ${message}`)
    this.name = 'KeeperProtocolError'
  }
}

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
} as const

const HEADER_BYTES = 4
const REFERENCE_BYTES = 8
const NEW_FIXED_BYTES = 14
const ADOPTEE_BYTES = 16
/** One byte of a text field in a slot is its length. */
const MAX_ADDRESS_BYTES = CLIENT_TEXT.address.capacity - 1

/** Writes the packet at the start of `into` (at least MAX_PACKET_BYTES long); returns its length. */
export function encodeKeeperMessage(message: KeeperMessage, into: Buffer): number {
  switch (message.op) {
    case 'new':
      return writeNewClients(into, message.clients)
    case 'keep-clients':
      return writeReferences(into, OP.keepClients, message.clients, MAX_PACKET_DESCRIPTORS)
    case 'keep-servers':
      return writeReferences(into, OP.keepServers, message.servers, MAX_PACKET_DESCRIPTORS)
    case 'serve':
      return writeHeader(into, OP.serve, 0, 0)
    case 'release':
      return writeHeader(into, OP.release, 0, 0)
    case 'listener':
      return writePlace(into, message.place)
  }
}

/** The message in `bytes`; throws `KeeperProtocolError` for anything else. Nothing of `bytes` is kept. */
export function decodeKeeperMessage(bytes: Buffer): KeeperMessage {
  const { op, count } = readHeader(bytes)
  switch (op) {
    case OP.new:
      return { op: 'new', clients: readNewClients(bytes, count) }
    case OP.keepClients:
      return { op: 'keep-clients', clients: readReferences(bytes, count, MAX_PACKET_DESCRIPTORS) }
    case OP.keepServers:
      return { op: 'keep-servers', servers: readReferences(bytes, count, MAX_PACKET_DESCRIPTORS) }
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

/** Writes the packet at the start of `into` (at least MAX_PACKET_BYTES long); returns its length. */
export function encodePlaneMessage(message: PlaneMessage, into: Buffer): number {
  switch (message.op) {
    case 'standby':
      return writeHeader(into, OP.standby, 0, 0)
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
      return writePlace(into, message.place)
    case 'adopt':
      return writeAdoptee(into, message.adoptee)
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

function writeHeader(into: Buffer, op: number, count: number, most: number): number {
  if (count > most) throw new RangeError(`keeper protocol: ${count} records in one packet, at most ${most} fit`)
  into[0] = op
  into[1] = 0
  into.writeUInt16LE(count, 2)
  return HEADER_BYTES
}

function readHeader(bytes: Buffer): { readonly op: number; readonly count: number } {
  if (bytes.length < HEADER_BYTES) throw new KeeperProtocolError(`a packet of ${bytes.length} bytes`)
  return { op: bytes[0] ?? 0, count: bytes.readUInt16LE(2) }
}

function requireBare(name: string, bytes: Buffer, count: number): void {
  if (count !== 0 || bytes.length !== HEADER_BYTES) throw new KeeperProtocolError(`${name} with records`)
}

function writePlace(into: Buffer, place: ListeningPlace): number {
  const at = writeHeader(into, OP.listener, 1, 1)
  return at + into.write(JSON.stringify(place), at)
}

function readPlace(bytes: Buffer): ListeningPlace {
  try {
    return JSON.parse(bytes.toString('utf8', HEADER_BYTES)) as ListeningPlace
  } catch {
    throw new KeeperProtocolError('LISTENER without a place')
  }
}

function writeAdoptee(into: Buffer, { plane, generation, pid, listeners }: Adoptee): number {
  let at = writeHeader(into, OP.adopt, 1, 1)
  for (const value of [plane, generation, pid, listeners]) at = into.writeUInt32LE(value, at)
  return at
}

function readAdoptee(bytes: Buffer): Adoptee {
  if (bytes.length !== HEADER_BYTES + ADOPTEE_BYTES) throw new KeeperProtocolError(`ADOPT in ${bytes.length} bytes`)
  const value = (field: number): number => bytes.readUInt32LE(HEADER_BYTES + 4 * field)
  return { plane: value(0), generation: value(1), pid: value(2), listeners: value(3) }
}

function writeNewClients(into: Buffer, clients: readonly NewClient[]): number {
  let at = writeHeader(into, OP.new, clients.length, MAX_PACKET_DESCRIPTORS)
  for (const client of clients) {
    into.writeUInt32LE(client.slot, at)
    into.writeUInt32LE(client.generation, at + 4)
    into.writeUInt16LE(client.remotePort, at + 8)
    into.writeUInt16LE(client.localPort, at + 10)
    into[at + 12] = client.family
    if (client.address.length > MAX_ADDRESS_BYTES) {
      throw new RangeError(`keeper protocol: an address of ${client.address.length} bytes`)
    }
    into[at + 13] = into.write(client.address, at + NEW_FIXED_BYTES, 'latin1')
    at += NEW_FIXED_BYTES + client.address.length
  }
  return at
}

function readNewClients(bytes: Buffer, count: number): readonly NewClient[] {
  if (count > MAX_PACKET_DESCRIPTORS) throw new KeeperProtocolError(`NEW with ${count} records`)
  const clients: NewClient[] = []
  let at = HEADER_BYTES
  for (let i = 0; i < count; i++) {
    if (at + NEW_FIXED_BYTES > bytes.length) throw new KeeperProtocolError('NEW ends within a record')
    const family = bytes[at + 12]
    if (family !== 1 && family !== 4 && family !== 6) throw new KeeperProtocolError(`address family ${family}`)
    const end = at + NEW_FIXED_BYTES + (bytes[at + 13] ?? 0)
    if (end > bytes.length) throw new KeeperProtocolError('NEW ends within an address')
    clients.push({
      slot: bytes.readUInt32LE(at),
      generation: bytes.readUInt32LE(at + 4),
      family,
      remotePort: bytes.readUInt16LE(at + 8),
      localPort: bytes.readUInt16LE(at + 10),
      address: bytes.toString('latin1', at + NEW_FIXED_BYTES, end),
    })
    at = end
  }
  if (at !== bytes.length) throw new KeeperProtocolError(`${bytes.length - at} bytes behind the last record`)
  return clients
}

function writeReferences(into: Buffer, op: number, slots: readonly SlotReference[], most: number): number {
  let at = writeHeader(into, op, slots.length, most)
  for (const { slot, generation } of slots) {
    into.writeUInt32LE(slot, at)
    into.writeUInt32LE(generation, at + 4)
    at += REFERENCE_BYTES
  }
  return at
}

function readReferences(bytes: Buffer, count: number, most: number): readonly SlotReference[] {
  if (count > most) throw new KeeperProtocolError(`${count} records in one packet`)
  if (bytes.length !== HEADER_BYTES + count * REFERENCE_BYTES) {
    throw new KeeperProtocolError(`${count} records in ${bytes.length} bytes`)
  }
  const slots: SlotReference[] = []
  for (let at = HEADER_BYTES; at < bytes.length; at += REFERENCE_BYTES) {
    slots.push({ slot: bytes.readUInt32LE(at), generation: bytes.readUInt32LE(at + 4) })
  }
  return slots
}
