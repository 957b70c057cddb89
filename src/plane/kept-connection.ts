import type { StreamPosition } from '../continuity/adoptable.ts'
import type { BufferArena } from '../io/buffer-arena.ts'
import { kernelPosition } from '../io/kernel-position.ts'
import type { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import type { TlsSession } from '../io/tls-session.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { copySection, nextSection, recoverSection, SECTION } from '../memory/slot-section.ts'
import type { StepLog } from '../memory/step-log.ts'

/** Indexes of what a kept connection's slot says live; the rest is in its section. */
export interface KeptFields {
  readonly inboxHandle: number
  readonly inboxBytes: number
  readonly outboxHandle: number
  readonly outboxStart: number
  readonly outboxBytes: number
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Where in the slot its sections are. */
  readonly sections: number
}

/** What connections of a plane that is gone are read from. */
export interface KeptMemory {
  readonly log: StepLog
  readonly reads: readonly NativeBuffer[]
  readonly arena: BufferArena
  /** `slotMark` of whose event the predecessor was serving when it died. */
  readonly inProgress: number
}

/**
 * One connection of a plane that is gone: what was committed of it, and which bytes were on their way, in either direction.
 * Owns the descriptor until somebody takes it.
 */
export class KeptConnection {
  readonly slot: SlotReference
  readonly fd: OwnedFd
  /** First i32 of its section; −1: nothing was committed. */
  section: number
  readonly position: StreamPosition
  /** Its TLS session as it was committed; null: it has none, or its keys are lost. */
  readonly tls: TlsSession | null
  readonly #memory: KeptMemory
  readonly #region: Region
  readonly #fields: KeptFields
  /** Totals, after what is on its way has been put where it waits. */
  readonly #read: number
  readonly #written: number

  /**
   * `writtenBase`: what the kernel counts as written before the first byte was. `tls`: its TLS session, if it has one of
   * which the keys may be known.
   */
  constructor(
    memory: KeptMemory,
    region: Region,
    fields: KeptFields,
    { slot, fd }: { slot: SlotReference; fd: OwnedFd },
    writtenBase: number,
    tls: TlsSession | null,
  ) {
    this.tls = tls?.restore(memory.log.committed) === true ? tls : null
    this.#memory = memory
    this.#region = region
    this.#fields = fields
    this.slot = slot
    this.fd = fd
    this.section = recoverSection(region, slot.slot, fields.sections, memory.log.committed)
    const kernel = kernelPosition(fd)
    const counted = kernel === null ? this.#counted : { read: kernel.read, written: kernel.written - writtenBase }
    this.#read = counted?.read ?? 0
    this.#written = counted?.written ?? 0
    this.position = {
      unread: counted === null || this.section < 0 ? null : this.#read - this.#total(SECTION.read),
      unreadKept: this.section < 0 ? 0 : this.#unreadKept,
      unsent: counted === null || this.section < 0 ? null : this.#total(SECTION.written) - this.#written,
      unsentKept:
        this.section < 0 ? 0 : this.word(SECTION.outboxBytes) + this.#sends.reduce((sum, { bytes }) => sum + bytes, 0),
    }
  }

  /** Of its section. */
  word(field: number): number {
    return this.#region.i32[this.section + field] as number
  }

  #total(field: number): number {
    return this.#region.f64[(this.section + field) >> 1] as number
  }

  get #mark(): number {
    return slotMark(this.#region, this.slot.slot)
  }

  /** What the predecessor counted itself, where the kernel does not; null when it died in the middle of a call. */
  get #counted(): { readonly read: number; readonly written: number } | null {
    const { log, inProgress } = this.#memory
    if (inProgress === this.#mark || (log.wasSending && this.#sends.length > 0)) return null
    if (log.wasReading && log.uncommittedReads(this.#mark).length > 0) return null
    const f = this.slot.slot * (this.#region.recordBytes >> 3)
    return {
      read: this.#region.f64[f + this.#fields.bytesRead] as number,
      written: this.#region.f64[f + this.#fields.bytesWritten] as number,
    }
  }

  get #sends(): readonly { readonly offset: number; readonly bytes: number }[] {
    return this.#memory.log.committedSends(this.#mark)
  }

  /** Reads that are not committed, as stretches of the stream. */
  get #unreadParts(): readonly { readonly buffer: number; readonly bytes: number }[] {
    const reads = this.#memory.log
      .uncommittedReads(this.#mark)
      .filter(({ before }) => before >= this.#total(SECTION.read))
    return reads.map(({ buffer, before }, at) => ({ buffer, bytes: (reads[at + 1]?.before ?? this.#read) - before }))
  }

  get #unreadKept(): number {
    return this.#unreadParts.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Handles of the buffers that its section refers to. `more`: indexes of others than inbox and outbox. */
  handles(more: readonly number[]): readonly number[] {
    return [SECTION.inboxHandle, SECTION.outboxHandle, ...more]
      .map((field) => this.word(field))
      .filter((handle) => handle !== 0)
  }

  /** All that was written and that the kernel has not got. */
  unsent(): Buffer {
    const { arena } = this.#memory
    const memory = this.#region.i32.buffer
    const outboxAt = arena.offset(this.word(SECTION.outboxHandle)) + this.word(SECTION.outboxStart)
    const parts = [arena.memory.bytes.subarray(outboxAt, outboxAt + this.word(SECTION.outboxBytes))]
    for (const { offset, bytes } of this.#sends) parts.push(Buffer.from(memory, offset, bytes))
    const all = Buffer.concat(parts)
    return all.subarray(all.length - (this.position.unsent ?? 0))
  }

  /** Plain bytes for its owner. What TLS has not opened is not among them. */
  #unread(): Buffer {
    const { arena, reads } = this.#memory
    const inboxAt = arena.offset(this.word(SECTION.inboxHandle))
    const parts = [arena.memory.bytes.subarray(inboxAt, inboxAt + this.word(SECTION.inboxBytes))]
    for (const { buffer, bytes } of this.tls === null ? this.#unreadParts : []) {
      parts.push((reads[buffer] as NativeBuffer).bytes.subarray(READ_HEADROOM, READ_HEADROOM + bytes))
    }
    return Buffer.concat(parts)
  }

  /** What came and was not opened waits for that; false when there is no room. */
  #holdSealed(tls: TlsSession): boolean {
    const { reads } = this.#memory
    return this.#unreadParts.every(({ buffer, bytes }) =>
      tls.held.append(reads[buffer] as NativeBuffer, READ_HEADROOM, READ_HEADROOM + bytes),
    )
  }

  /**
   * Puts what was on its way where it waits, and makes the slot and the section of the next step say so. The arena must be
   * rebuilt, and no step begun. False when there is no room.
   */
  settle(): boolean {
    const unread = this.#unread()
    const unsent = this.unsent()
    const { arena, log } = this.#memory
    if (this.tls !== null && !this.#holdSealed(this.tls)) return false
    this.tls?.save(log.committed + 1)
    const inbox = unread.length === 0 ? 0 : arena.allocate(unread.length)
    const outbox = unsent.length === 0 ? 0 : arena.allocate(unsent.length)
    if ((inbox === 0 && unread.length > 0) || (outbox === 0 && unsent.length > 0)) return false
    arena.memory.bytes.set(unread, arena.offset(inbox))
    arena.memory.bytes.set(unsent, arena.offset(outbox))
    for (const handle of this.handles([])) arena.retire(handle)
    const next = nextSection(this.#region, this.slot.slot, this.#fields.sections)
    copySection(this.#region, this.section, next)
    const { i32, f64 } = this.#region
    f64[(next + SECTION.read) >> 1] = this.#read
    f64[(next + SECTION.written) >> 1] = this.#written + unsent.length
    i32[next + SECTION.inboxHandle] = inbox
    i32[next + SECTION.inboxBytes] = unread.length
    i32[next + SECTION.outboxHandle] = outbox
    i32[next + SECTION.outboxStart] = 0
    i32[next + SECTION.outboxBytes] = unsent.length
    f64[next >> 1] = log.committed + 1
    this.section = next
    this.#live(next)
    return true
  }

  /** What its slot says is true from now on. */
  #live(section: number): void {
    const { i32, f64, recordBytes } = this.#region
    const fields = this.#fields
    const i = this.slot.slot * (recordBytes >> 2)
    const f = this.slot.slot * (recordBytes >> 3)
    i32[i + fields.inboxHandle] = i32[section + SECTION.inboxHandle] as number
    i32[i + fields.inboxBytes] = i32[section + SECTION.inboxBytes] as number
    i32[i + fields.outboxHandle] = i32[section + SECTION.outboxHandle] as number
    i32[i + fields.outboxStart] = 0
    i32[i + fields.outboxBytes] = i32[section + SECTION.outboxBytes] as number
    f64[f + fields.bytesRead] = this.#read
    f64[f + fields.bytesWritten] = this.#written
  }
}
