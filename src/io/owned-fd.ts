import { native } from './native.ts'

/**
 * One file descriptor with one owner. A bare number may be reused by the kernel the moment it is closed; this object
 * never forgets that it closed it. `take` hands the number to another owner, after which this one is empty.
 */
export class OwnedFd {
  #fd: number

  constructor(fd: number) {
    this.#fd = fd
  }

  get closed(): boolean {
    return this.#fd < 0
  }

  /** The number, for a system call made right now. Throws when this owner no longer has it. */
  get fd(): number {
    if (this.#fd < 0) throw new Error('file descriptor used after its owner closed it or gave it away')
    return this.#fd
  }

  take(): number {
    const fd = this.fd
    this.#fd = -1
    return fd
  }

  /** Closing twice is harmless: the second call does nothing. */
  close(): void {
    if (this.#fd < 0) return
    native.close(this.#fd)
    this.#fd = -1
  }
}
