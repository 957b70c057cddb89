import { STEP_LOG_BYTES } from '../memory/step-log.ts'
import type { NativeBuffer } from './native.ts'
import { READ_BUFFERS, READ_BYTES, READ_HEADROOM } from './read-buffers.ts'
import type { SharedMapping } from './shared-memory.ts'

/** Bytes that are put together from others before they leave. */
const GATHER_BYTES = 65_536
/** Messages of our own that wait for the end of a wake-up. */
const OWN_BYTES = 262_144

/** One plane's part of the shared memory: a successor finds there what its predecessor has read and was about to send. */
export interface PlaneMemory {
  readonly stepLog: Buffer
  readonly reads: readonly NativeBuffer[]
  readonly toClient: NativeBuffer
  readonly toServer: NativeBuffer
  readonly own: NativeBuffer
  /** For a `ValueStore`, of which there is one at a time. */
  readonly values: Buffer
  /** For a `BufferArena`, and where it lies in the mapping. */
  readonly buffers: NativeBuffer
  readonly buffersAt: number
}

/** The part of `mapping` from `start` on, `bytes` long. `reads`: fewer buffers than usual, in tests. */
export function planeMemory(
  mapping: SharedMapping,
  start: number,
  bytes: number,
  valueBytes: number,
  reads: number = READ_BUFFERS,
): PlaneMemory {
  let next = start
  const take = (count: number): NativeBuffer => {
    const window = mapping.window(next, count)
    next += count
    return window
  }
  return {
    stepLog: take(STEP_LOG_BYTES).bytes,
    reads: Array.from({ length: reads }, () => take(READ_HEADROOM + READ_BYTES)),
    toClient: take(GATHER_BYTES),
    toServer: take(GATHER_BYTES),
    own: take(OWN_BYTES),
    values: take(valueBytes).bytes,
    buffersAt: next,
    buffers: take(start + bytes - next),
  }
}
