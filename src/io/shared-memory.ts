import { check, NativeBuffer, native, SystemError, viewMemory } from './native.ts'
import { OwnedFd } from './owned-fd.ts'

const MFD_CLOEXEC = 1
const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const MADV_REMOVE = 9
const MADV_DONTDUMP = 16
const MLOCK_ONFAULT = 1

/** An anonymous file of `bytes` zero bytes; pages that nobody touches cost nothing. */
export function createMemoryFile(name: string, bytes: number): OwnedFd {
  const fd = new OwnedFd(check('memfd_create', native.memfd_create(name, MFD_CLOEXEC)))
  if (native.ftruncate(fd.fd, bytes) < 0) {
    const error = new SystemError('ftruncate')
    fd.close()
    throw error
  }
  return fd
}

/** A shared mapping of a memory file. It lives as long as the process: views of it may be anywhere. */
export class SharedMapping {
  readonly memory: ArrayBuffer
  readonly #address: number

  constructor(fd: OwnedFd, bytes: number) {
    const address = native.mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED, fd.fd, 0)
    // MAP_FAILED is (void *) -1, which crosses as 2^64 − 1 and is no longer exact.
    if (address > Number.MAX_SAFE_INTEGER) throw new SystemError('mmap')
    this.#address = address
    this.memory = viewMemory(address, bytes)
  }

  /** A window with its address, for system calls to read into and write from. */
  window(offset: number, bytes: number): NativeBuffer {
    return NativeBuffer.over(this.memory, this.#address, offset, bytes)
  }

  /** Leaves whole pages, which hold keys, out of core dumps of this process. */
  hideFromDumps(offset: number, bytes: number): void {
    if (native.madvise(this.#address + offset, bytes, MADV_DONTDUMP) < 0) throw new SystemError('madvise')
  }

  /** Keeps whole pages from being swapped out, once they are used. False when the system does not allow it (RLIMIT_MEMLOCK). */
  lock(offset: number, bytes: number): boolean {
    return native.mlock2(this.#address + offset, bytes, MLOCK_ONFAULT) === 0
  }

  /** Gives whole pages back to the kernel; they read as zeros afterwards. */
  discard(offset: number, bytes: number): void {
    if (native.madvise(this.#address + offset, bytes, MADV_REMOVE) < 0) throw new SystemError('madvise')
  }
}
