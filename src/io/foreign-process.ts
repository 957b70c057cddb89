import { check, NativeBuffer, native } from './native.ts'
import { OwnedFd } from './owned-fd.ts'

// The same numbers on x64 and arm64.
const SYS_PIDFD_SEND_SIGNAL = 424
const SYS_PIDFD_OPEN = 434
const WNOHANG = 1

/**
 * A descriptor of a process that need not be a child of this one (pidfd_open(2)). It is readable once the process has
 * ended, and so has let go of all its descriptors, and means no other process that gets the same id later. Throws `SystemError`
 * when there is no such process.
 */
export function openProcess(pid: number): OwnedFd {
  return new OwnedFd(Number(check('pidfd_open', Number(native.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0, 0, 0)))))
}

/** False when it has ended. */
export function signalProcess(process: OwnedFd, signal: number): boolean {
  return Number(native.syscall(SYS_PIDFD_SEND_SIGNAL, process.fd, signal, 0, 0, 0, 0)) === 0
}

/** How a child of this process ended. */
export interface ReapedChild {
  /** Null: by a signal. */
  readonly code: number | null
  /** 0: by itself. */
  readonly signal: number
}

/** Collects a child that has ended; null when this is no child of ours, whose parent collects it. */
export function reapChild(pid: number): ReapedChild | null {
  const status = NativeBuffer.allocate(4)
  if (native.waitpid(pid, status.address, WNOHANG) !== pid) return null
  const word = status.bytes.readInt32LE(0)
  const signal = word & 0x7f
  return { code: signal === 0 ? (word >> 8) & 0xff : null, signal }
}
