import {
  CLIENT,
  CLIENT_FLAG,
  CLIENT_SECTIONS,
  CLIENT_TEXT,
  type ClientState,
  clientStateCode,
} from '../memory/client-slots.ts'
import type { NewClient } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import { dropSections } from '../memory/slot-section.ts'
import { DEFAULT_TIER, tierCode } from '../shard/tier.ts'
import type { StartupRequest } from './startup.ts'

/** The session's side of its slot in shared memory: what others read of it, and what it must not forget. */
export class ClientSlot {
  readonly #region: Region
  readonly #slot: number
  readonly #i: number

  /** `isKept`: what the slot says is this client's. Else it is whatever a client before it left there. */
  constructor(region: Region, client: NewClient, planeIndex: number, isKept: boolean) {
    this.#region = region
    this.#slot = client.slot
    this.#i = client.slot * (region.recordBytes >> 2)
    if (isKept) {
      this.#set(CLIENT.plane, planeIndex)
      return
    }
    region.clear(client.slot)
    this.#set(CLIENT.generation, client.generation)
    this.#set(CLIENT.plane, planeIndex)
    this.#set(CLIENT.tier, tierCode(DEFAULT_TIER))
    this.#set(CLIENT.remotePort, client.remotePort)
    this.#set(CLIENT.localPort, client.localPort)
    if (client.family === 1) this.flag('unix')
    this.text('address', client.address)
  }

  /** Where the client is; empty when it is on this machine, by a Unix socket. */
  get address(): string {
    return this.#region.readText(this.#slot, CLIENT_TEXT.address.offset)
  }

  get isUnix(): boolean {
    return ((this.#region.i32[this.#i + CLIENT.flags] ?? 0) & CLIENT_FLAG.unix) !== 0
  }

  get isTls(): boolean {
    return ((this.#region.i32[this.#i + CLIENT.flags] ?? 0) & CLIENT_FLAG.tls) !== 0
  }

  state(state: ClientState): void {
    this.#set(CLIENT.state, clientStateCode(state))
  }

  /** Code of the tier that counts for it at the moment. */
  get tier(): number {
    return this.#region.i32[this.#i + CLIENT.tier] ?? 0
  }

  set tier(code: number) {
    this.#set(CLIENT.tier, code)
  }

  /** The session's number in this plane. */
  serial(serial: number): void {
    this.#set(CLIENT.serial, serial)
  }

  /** Nobody goes on with this client. */
  end(): void {
    this.state('free')
    dropSections(this.#region, this.#slot, CLIENT_SECTIONS)
  }

  /** Server slot, or null. */
  server(slot: number | null): void {
    this.#set(CLIENT.server, slot === null ? 0 : slot + 1)
  }

  pool(record: number): void {
    this.#set(CLIENT.pool, record + 1)
  }

  pins(bits: number): void {
    this.#set(CLIENT.pins, bits)
  }

  relocated(): void {
    this.#set(CLIENT.relocations, (this.#region.i32[this.#i + CLIENT.relocations] ?? 0) + 1)
  }

  prepared(count: number): void {
    this.#set(CLIENT.prepared, count)
  }

  channels(count: number): void {
    this.#set(CLIENT.channels, count)
  }

  outstanding(count: number): void {
    this.#set(CLIENT.outstanding, count)
  }

  answered(status: number, outstanding: number): void {
    this.#set(CLIENT.transactionStatus, status)
    this.#set(CLIENT.outstanding, outstanding)
  }

  startup({ user, database, minor, settings }: StartupRequest): void {
    this.#set(CLIENT.protocolVersion, minor)
    this.text('user', user)
    this.text('database', database)
    this.text('applicationName', settings.get('application_name') ?? '')
  }

  flag(name: keyof typeof CLIENT_FLAG): void {
    this.#set(CLIENT.flags, (this.#region.i32[this.#i + CLIENT.flags] ?? 0) | CLIENT_FLAG[name])
  }

  text(field: keyof typeof CLIENT_TEXT, text: string): void {
    const { offset, capacity } = CLIENT_TEXT[field]
    this.#region.writeText(this.#slot, offset, capacity, text)
  }

  /** Remembers the key with which a cancel request may name this client; returns the process id that goes with it. */
  issueCancelKey(key: Buffer): number {
    this.#set(CLIENT.cancelKeyBytes, key.length)
    key.copy(this.#region.bytes, this.#slot * this.#region.recordBytes + CLIENT_TEXT.cancelKey.offset)
    return this.processId
  }

  /** The process id that the client knows as its backend's. */
  get processId(): number {
    return cancelProcessId(this.#slot, this.#region.i32[this.#i + CLIENT.generation] ?? 0)
  }

  #set(field: number, value: number): void {
    this.#region.i32[this.#i + field] = value
  }
}

/**
 * What a client is told as its backend's process id: its slot, and which of the slot's owners it is. More than any process
 * id of Linux (2^22), so that `pg_terminate_backend` with it hits nobody on the shard.
 */
export function cancelProcessId(slot: number, generation: number): number {
  return 0x4000_0000 | ((generation & 0x3ff) << 20) | (slot + 1)
}
