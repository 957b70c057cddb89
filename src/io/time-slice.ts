import { arch, getPriority } from 'node:os'
import { NativeBuffer, native } from './native.ts'

/** By architecture: numbers of sched_setattr(2), sched_getattr(2) and clock_gettime(2). */
const CALLS: Readonly<Record<string, { readonly set: number; readonly get: number; readonly clock: number }>> = {
  x64: { set: 314, get: 315, clock: 228 },
  arm64: { set: 274, get: 275, clock: 113 },
}
const CLOCK_THREAD_CPUTIME_ID = 3
/** `struct sched_attr` as of Linux 5.3. */
const ATTRIBUTES = { bytes: 56, policy: 4, flags: 8, nice: 16, priority: 20, runtime: 24 }
const SCHED_OTHER = 0
const SCHED_RR = 2
const SCHED_BATCH = 3
const RESET_ON_FORK = 1n
const LEAST_AHEAD = 1

/** The shortest that the kernel takes, in microseconds; the longest is a thousand times that. */
export const SHORTEST_SLICE_US = 100

const call = CALLS[arch()]
const attributes = NativeBuffer.allocate(ATTRIBUTES.bytes)

/**
 * Asks the kernel to give this thread its share of the processors in slices of so many microseconds, 0: of the usual length. Its share
 * stays what it is: who has short slices is let in sooner when it wakes up, ahead of whoever has longer ones. `thread`: 0 is
 * the calling one; of another process, one of the same account, or CAP_SYS_NICE is needed.
 *
 * False: it may not, there is no such thread, or it is scheduled by other rules (chrt(1)). Before Linux 6.12 it changes nothing.
 * sched_setattr(2), `sched_runtime` in the kernel's Documentation/scheduler/sched-eevdf.rst.
 */
export function setTimeSlice(thread: number, microseconds: number): boolean {
  if (call === undefined) return false
  const { address, bytes } = attributes
  // Its niceness has to be told as well.
  if (native.syscall(call.get, thread, address, ATTRIBUTES.bytes, 0, 0, 0) !== 0) return false
  const policy = bytes.readUInt32LE(ATTRIBUTES.policy)
  if (policy !== SCHED_OTHER && policy !== SCHED_BATCH) return false
  bytes.writeBigUInt64LE(BigInt(microseconds) * 1000n, ATTRIBUTES.runtime)
  return native.syscall(call.set, thread, address, 0, 0, 0, 0) === 0
}

/** What `setTimeSlice` has set, in microseconds, or how long a slice usually is; null: not known, as before Linux 6.12. */
export function timeSliceOf(thread: number): number | null {
  if (call === undefined) return null
  const { address, bytes } = attributes
  if (native.syscall(call.get, thread, address, ATTRIBUTES.bytes, 0, 0, 0) !== 0) return null
  const nanoseconds = Number(bytes.readBigUInt64LE(ATTRIBUTES.runtime))
  return nanoseconds === 0 ? null : nanoseconds / 1000
}

/**
 * From now on this thread gets a processor ahead of all that are scheduled the usual way, as soon as it wants one and for as long
 * (`SCHED_RR`, at the lowest priority), or, with false, like them again, in the shortest slices. The threads that it starts are as usual. False: it may
 * not (CAP_SYS_NICE, RLIMIT_RTPRIO, or a cgroup without a share for such threads). sched(7)
 */
export function setAhead(isAhead: boolean): boolean {
  if (call === undefined) return false
  const { address, bytes } = attributes
  if (native.syscall(call.get, 0, address, ATTRIBUTES.bytes, 0, 0, 0) !== 0) return false
  bytes.writeUInt32LE(isAhead ? SCHED_RR : SCHED_OTHER, ATTRIBUTES.policy)
  // Whoever has no right but the limit may neither take this flag back nor become less nice than he was, and would be ahead for good.
  bytes.writeBigUInt64LE(RESET_ON_FORK, ATTRIBUTES.flags)
  bytes.writeInt32LE(getPriority(), ATTRIBUTES.nice)
  bytes.writeUInt32LE(isAhead ? LEAST_AHEAD : 0, ATTRIBUTES.priority)
  bytes.writeBigUInt64LE(isAhead ? 0n : BigInt(SHORTEST_SLICE_US) * 1000n, ATTRIBUTES.runtime)
  return native.syscall(call.set, 0, address, 0, 0, 0, 0) === 0
}

/** Whether that is so for a thread; null: there is no such thread. */
export function isAhead(thread: number): boolean | null {
  if (call === undefined) return null
  const { address, bytes } = attributes
  if (native.syscall(call.get, thread, address, ATTRIBUTES.bytes, 0, 0, 0) !== 0) return null
  return bytes.readUInt32LE(ATTRIBUTES.policy) === SCHED_RR
}

/** Processor time that this thread has used since it began, in milliseconds; 0 where that cannot be asked. */
export function threadCpuMs(): number {
  const { address, bytes } = attributes
  if (call === undefined || native.syscall(call.clock, CLOCK_THREAD_CPUTIME_ID, address, 0, 0, 0, 0) !== 0) return 0
  return Number(bytes.readBigInt64LE(0)) * 1000 + Number(bytes.readBigInt64LE(8)) / 1e6
}
