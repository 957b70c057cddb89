import { ERRNO, errno, NativeBuffer, native, SystemError, viewMemory } from './native.ts'
import type { ReceiveQueue } from './read-ahead.ts'
import type { SendQueue } from './send-batch.ts'

const SYS_IO_URING_SETUP = 425
const SYS_IO_URING_ENTER = 426
const SYS_IO_URING_REGISTER = 427
const IORING_SETUP_CQSIZE = 1 << 3
const IORING_SETUP_SINGLE_ISSUER = 1 << 12
const IORING_SETUP_DEFER_TASKRUN = 1 << 13
const IORING_FEAT_SINGLE_MMAP = 1 << 0
const IORING_ENTER_GETEVENTS = 1 << 0
const IORING_ENTER_REGISTERED_RING = 1 << 4
const IORING_REGISTER_RING_FDS = 20
const IORING_OP_SEND = 26
const IORING_OP_RECV = 27
const IORING_OFF_SQES = 0x10000000
const PROT_READ_WRITE = 3
const MAP_SHARED_POPULATE = 0x8001
const SQE_BYTES = 64
const CQE_BYTES = 16
const TWO_TO_32 = 4294967296

/** Sends or receives at once at most. */
export const RING_ENTRIES = 64

/** Offsets in `struct io_uring_params`, from its documentation: https://man7.org/linux/man-pages/man2/io_uring_setup.2.html */
const PARAMS = {
  bytes: 120,
  cqEntries: 4,
  flags: 8,
  features: 20,
  sqTail: 44,
  sqArray: 64,
  cqHead: 80,
  cqTail: 84,
  cqes: 100,
}

/**
 * Many `send`s, or many `recv`s, in one system call: an io_uring that is used for nothing else. They never wait (MSG_DONTWAIT),
 * so all are done when `submit` returns, as if they had been called one after the other.
 *
 * Forbidden in many containers: `open` throws SystemError then.
 */
export class SubmissionRing implements SendQueue, ReceiveQueue {
  /** What the call would have returned for each, negative error numbers included, after `submit`. */
  readonly results: Int32Array = new Int32Array(RING_ENTRIES)
  readonly receives: ReceiveQueue = this
  readonly #words: Int32Array
  readonly #entries: Int32Array
  readonly #sqTail: number
  readonly #cqHead: number
  readonly #cqTail: number
  readonly #cqes: number
  readonly #cqMask: number
  readonly #fd: number
  readonly #enterFlags: number
  #tail: number
  #queued = 0
  /** What was queued last. */
  readonly #last = { operation: IORING_OP_SEND, fd: 0, address: 0, bytes: 0, flags: 0 }

  private constructor(fd: number, params: Buffer) {
    const word = (at: number): number => params.readUInt32LE(at)
    const cqEntries = word(PARAMS.cqEntries)
    const bytes = Math.max(word(PARAMS.sqArray) + RING_ENTRIES * 4, word(PARAMS.cqes) + cqEntries * CQE_BYTES)
    this.#words = new Int32Array(map(fd, bytes, 0))
    this.#entries = new Int32Array(map(fd, RING_ENTRIES * SQE_BYTES, IORING_OFF_SQES))
    this.#sqTail = word(PARAMS.sqTail) >> 2
    this.#cqHead = word(PARAMS.cqHead) >> 2
    this.#cqTail = word(PARAMS.cqTail) >> 2
    this.#cqes = word(PARAMS.cqes) >> 2
    this.#cqMask = cqEntries - 1
    this.#tail = this.#words[this.#sqTail] as number
    const array = word(PARAMS.sqArray) >> 2
    for (let at = 0; at < RING_ENTRIES; at++) this.#words[array + at] = at
    const registered = registerRing(fd)
    this.#fd = registered ?? fd
    this.#enterFlags = registered === null ? 0 : IORING_ENTER_REGISTERED_RING
  }

  /** Throws SystemError where the kernel has no io_uring, or does not allow it. Lives as long as the process. */
  static open(): SubmissionRing {
    const params = NativeBuffer.allocate(PARAMS.bytes)
    // The newer kernels save work when one thread does everything; the older ones refuse the flags.
    for (const flags of [
      IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
      IORING_SETUP_CQSIZE,
    ]) {
      params.bytes.fill(0)
      params.bytes.writeUInt32LE(RING_ENTRIES * 2, PARAMS.cqEntries)
      params.bytes.writeUInt32LE(flags, PARAMS.flags)
      const fd = native.syscall(SYS_IO_URING_SETUP, RING_ENTRIES, params.address, 0, 0, 0, 0)
      if (fd >= 0) {
        if ((params.bytes.readUInt32LE(PARAMS.features) & IORING_FEAT_SINGLE_MMAP) !== 0)
          return new SubmissionRing(fd, params.bytes)
        native.close(fd)
        throw new SystemError('io_uring_setup', ERRNO.EINVAL)
      }
      if (errno() !== ERRNO.EINVAL) break
    }
    throw new SystemError('io_uring_setup')
  }

  /** `bytes` bytes at `address` go to `fd` with the next `submit`; at most RING_ENTRIES. Its result will be at the place returned. */
  send(fd: number, address: number, bytes: number, flags: number): number {
    return this.#add(IORING_OP_SEND, fd, address, bytes, flags)
  }

  /** The same for at most `bytes` bytes from `fd`. */
  receive(fd: number, address: number, bytes: number, flags: number): number {
    return this.#add(IORING_OP_RECV, fd, address, bytes, flags)
  }

  #add(operation: number, fd: number, address: number, bytes: number, flags: number): number {
    const at = (this.#tail & (RING_ENTRIES - 1)) * (SQE_BYTES >> 2)
    const entries = this.#entries
    entries[at] = operation
    entries[at + 1] = fd
    entries[at + 4] = address | 0
    entries[at + 5] = (address / TWO_TO_32) | 0
    entries[at + 6] = bytes
    entries[at + 7] = flags
    entries[at + 8] = this.#queued
    this.#tail = (this.#tail + 1) | 0
    const last = this.#last
    last.operation = operation
    last.fd = fd
    last.address = address
    last.bytes = bytes
    last.flags = flags
    return this.#queued++
  }

  /** All of them, in order. */
  submit(): void {
    const count = this.#queued
    this.#queued = 0
    if (count === 1) {
      this.#callAlone()
      return
    }
    Atomics.store(this.#words, this.#sqTail, this.#tail)
    for (let submitted = 0, done = 0; done < count; ) {
      // Out of memory it takes fewer; then those that it took come first.
      const missing = submitted < count ? 0 : count - done
      const flags = this.#enterFlags | (missing > 0 ? IORING_ENTER_GETEVENTS : 0)
      const taken = native.syscall(SYS_IO_URING_ENTER, this.#fd, count - submitted, missing, flags, 0, 0)
      if (taken < 0 && errno() !== ERRNO.EINTR && errno() !== ERRNO.EAGAIN) throw new SystemError('io_uring_enter')
      if (taken > 0) submitted += taken
      done += this.#reap()
    }
  }

  /** One by itself is cheaper without the ring, and at low load there is mostly just one. */
  #callAlone(): void {
    this.#tail = (this.#tail - 1) | 0
    const { operation, fd, address, bytes, flags } = this.#last
    const call = operation === IORING_OP_SEND ? native.send : native.recv
    const taken = call(fd, address, bytes, flags)
    this.results[0] = taken < 0 ? -errno() : taken
  }

  #reap(): number {
    const words = this.#words
    const first = words[this.#cqHead] as number
    const last = Atomics.load(words, this.#cqTail)
    for (let head = first; head !== last; head = (head + 1) | 0) {
      const at = this.#cqes + (head & this.#cqMask) * (CQE_BYTES >> 2)
      this.results[words[at] as number] = words[at + 2] as number
    }
    Atomics.store(words, this.#cqHead, last)
    return (last - first) | 0
  }
}

function map(fd: number, bytes: number, offset: number): ArrayBuffer {
  const address = native.mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset)
  if (address > Number.MAX_SAFE_INTEGER) throw new SystemError('mmap')
  return viewMemory(address, bytes)
}

/** Spares the kernel to look the ring up by its descriptor each time; null where it cannot. */
function registerRing(fd: number): number | null {
  const update = NativeBuffer.allocate(16)
  update.bytes.writeUInt32LE(0xffffffff, 0)
  update.bytes.writeUInt32LE(fd, 8)
  const count = native.syscall(SYS_IO_URING_REGISTER, fd, IORING_REGISTER_RING_FDS, update.address, 1, 0, 0)
  return count === 1 ? update.bytes.readUInt32LE(0) : null
}
