import { CLIENT_TEXT } from './client-slots.ts'
import type { ListeningPlace } from './keeper-control-protocol.ts'
import type { Adoptee, NewClient, SlotReference } from './keeper-protocol.ts'

/*
 * The bytes of packets between keeper and planes: see keeper-protocol.ts for what they mean. Writers put a packet at the start of
 * `into` and return its length; readers throw `KeeperProtocolError` for anything that no writer makes.
 */
const HEADER_BYTES = 4
const REFERENCE_BYTES = 8
const NEW_FIXED_BYTES = 14
const ADOPTEE_BYTES = 16
/** One byte of a text field in a slot is its length. */
const MAX_ADDRESS_BYTES = CLIENT_TEXT.address.capacity - 1

/** The peer sent bytes that no version of this protocol produces; the channel cannot be trusted any more. */
export class KeeperProtocolError extends Error {
  constructor(message: string) {
    super(`keeper protocol: ${message}`)
    this.name = 'KeeperProtocolError'
  }
}

/** The head of a packet with `count` records, of which there may be `most`; throws RangeError for more. */
export function writeHeader(into: Buffer, op: number, count: number, most: number): number {
  if (count > most) throw new RangeError(`keeper protocol: ${count} records in one packet, at most ${most} fit`)
  into[0] = op
  into[1] = 0
  into.writeUInt16LE(count, 2)
  return HEADER_BYTES
}

/** Operation and number of records. */
export function readHeader(bytes: Buffer): { readonly op: number; readonly count: number } {
  if (bytes.length < HEADER_BYTES) throw new KeeperProtocolError(`a packet of ${bytes.length} bytes`)
  return { op: bytes[0] ?? 0, count: bytes.readUInt16LE(2) }
}

/** A packet that has nothing but a head. */
export function requireBare(name: string, bytes: Buffer, count: number): void {
  if (count !== 0 || bytes.length !== HEADER_BYTES) throw new KeeperProtocolError(`${name} with records`)
}

/** LISTENER. */
export function writePlace(into: Buffer, op: number, place: ListeningPlace): number {
  const at = writeHeader(into, op, 1, 1)
  return at + into.write(JSON.stringify(place), at)
}

/** The place of a LISTENER. */
export function readPlace(bytes: Buffer): ListeningPlace {
  try {
    return JSON.parse(bytes.toString('utf8', HEADER_BYTES)) as ListeningPlace
  } catch {
    throw new KeeperProtocolError('LISTENER without a place')
  }
}

/** ADOPT. */
export function writeAdoptee(into: Buffer, op: number, { plane, generation, pid, listeners }: Adoptee): number {
  let at = writeHeader(into, op, 1, 1)
  for (const value of [plane, generation, pid, listeners]) at = into.writeUInt32LE(value, at)
  return at
}

/** The plane of an ADOPT. */
export function readAdoptee(bytes: Buffer): Adoptee {
  if (bytes.length !== HEADER_BYTES + ADOPTEE_BYTES) throw new KeeperProtocolError(`ADOPT in ${bytes.length} bytes`)
  const value = (field: number): number => bytes.readUInt32LE(HEADER_BYTES + 4 * field)
  return { plane: value(0), generation: value(1), pid: value(2), listeners: value(3) }
}

/** NEW. */
export function writeNewClients(into: Buffer, op: number, clients: readonly NewClient[], most: number): number {
  let at = writeHeader(into, op, clients.length, most)
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

/** The clients of a NEW. */
export function readNewClients(bytes: Buffer, count: number, most: number): readonly NewClient[] {
  if (count > most) throw new KeeperProtocolError(`NEW with ${count} records`)
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

/** A packet whose records are slots. */
export function writeReferences(into: Buffer, op: number, slots: readonly SlotReference[], most: number): number {
  let at = writeHeader(into, op, slots.length, most)
  for (const { slot, generation } of slots) {
    into.writeUInt32LE(slot, at)
    into.writeUInt32LE(generation, at + 4)
    at += REFERENCE_BYTES
  }
  return at
}

/** Those slots. */
export function readReferences(bytes: Buffer, count: number, most: number): readonly SlotReference[] {
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
