import { check, NativeBuffer, native } from './native.ts'

const RLIMIT_NOFILE = 7
const PR_SET_PDEATHSIG = 1
const SIGKILL = 9

/** Raises the soft limit of open files to the hard one; returns how many files this process and its children may open. */
export function raiseOpenFileLimit(): number {
  const limits = NativeBuffer.allocate(16)
  check('getrlimit', native.getrlimit(RLIMIT_NOFILE, limits.address))
  const hard = limits.bytes.readBigUInt64LE(8)
  if (limits.bytes.readBigUInt64LE(0) < hard) {
    limits.bytes.writeBigUInt64LE(hard, 0)
    check('setrlimit', native.setrlimit(RLIMIT_NOFILE, limits.address))
  }
  // RLIM_INFINITY is 2^64 − 1; nobody needs an exact number there.
  return Number(hard)
}

/**
 * The kernel kills this process when its parent dies (prctl(2), PR_SET_PDEATHSIG). A parent that died before the call
 * is not noticed: ask for the parent's pid afterwards.
 */
export function dieWithParent(): void {
  check('prctl', native.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
}

/** Takes `dieWithParent` back. */
export function outliveParent(): void {
  check('prctl', native.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0))
}
