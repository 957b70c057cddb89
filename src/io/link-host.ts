import type { BufferArena } from './buffer-arena.ts'
import type { StreamFields } from './byte-stream.ts'
import type { DeferredWork } from './deferred.ts'
import type { NativeBuffer } from './native.ts'
import type { OutboxFields } from './outbox.ts'
import type { Poller } from './poller.ts'
import type { ReadAhead } from './read-ahead.ts'
import type { ReadBuffers } from './read-buffers.ts'
import type { SendBatch } from './send-batch.ts'
import type { Steps } from './steps.ts'

/** What all links of a plane share. */
export interface LinkHost {
  readonly poller: Poller
  readonly arena: BufferArena
  readonly reads: ReadBuffers
  /** `reads.current`: READ_HEADROOM + READ_BYTES. The last read landed here and is used up before the next descriptor is served. */
  readonly inbound: NativeBuffer
  readonly readAhead: ReadAhead
  readonly sends: SendBatch
  readonly steps: Steps
  /** Ciphertext on its way between socket and TLS channel. */
  readonly ciphertext: NativeBuffer
  /** Messages of our own on their way to a socket. */
  readonly outbound: NativeBuffer
  readonly deferred: DeferredWork
  /** `[0]`: whose event is being served, as a `slotMark`; in shared memory, so that it outlives a crash. */
  readonly progress: Int32Array
}

/** Indexes of the fields that a link keeps up to date in its slot; client and server slots share them. */
export interface LinkFields extends OutboxFields, StreamFields {
  readonly inboxHandle: number
  readonly inboxBytes: number
  /** Where in the slot its sections are, in bytes; 0: nobody goes on with this connection. */
  readonly sections: number
}

/** Who is told. */
export interface LinkOwner {
  /** It would read plain bytes if it were told now that there are some. */
  readonly isReading: boolean
  onReadable(): void
  /** So many bytes are in `host.inbound`, as after a read, while it may not read: kept, and used in their turn. Must not send. */
  onReadAhead(count: number): void
  /** All waiting bytes have left: whoever feeds this link may go on. */
  onDrained(): void
  /** The connection is dead in both directions, while nobody reads. What arrived before may still be read. */
  onHangUp(): void
  /** The peer sends no more, while nobody reads: told once, after `watchEnd`. It may still listen. */
  onPeerEnd(): void
  /** Waiting bytes cannot be delivered: `failure` says why. */
  onLost(): void
  /** One of the others threw: end this connection, with a reason, and leave the rest alone. */
  onFault(error: unknown): void
  /** A step ends: the section at this i32 of the slots, whose first part is written, has to be completed. */
  onSave(section: number, isTorn: boolean): void
}
