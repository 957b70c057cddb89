import { NativeBuffer, native } from './native.ts'
import type { OwnedFd } from './owned-fd.ts'

const IPPROTO_TCP = 6
const TCP_INFO = 11
const SIOCINQ = 0x541b
const SIOCOUTQ = 0x5411
/** Offsets in `struct tcp_info` of linux/tcp.h. */
const INFO = { bytes: 256, state: 0, bytesAcked: 120, bytesReceived: 128 }
const SMALLEST_INFO_BYTES = 136
/** Reading takes four calls; the connection may move meanwhile. */
const ATTEMPTS = 16

const ESTABLISHED = 1
const FIN_WAIT1 = 4
const FIN_WAIT2 = 5
const CLOSE_WAIT = 8
const LAST_ACK = 9
const CLOSING = 11
/** The peer's FIN has come, which takes a number of its own. */
const PEER_HAS_ENDED: ReadonlySet<number> = new Set([CLOSE_WAIT, LAST_ACK, CLOSING])
const WE_HAVE_ENDED: ReadonlySet<number> = new Set([FIN_WAIT1, FIN_WAIT2, LAST_ACK, CLOSING])

/** How far a TCP connection has come, in bytes since its start. */
export interface KernelPosition {
  /** Taken out of the kernel by `recv`. */
  readonly read: number
  /** Given to the kernel by `send`. */
  readonly written: number
}

const scratch = NativeBuffer.allocate(INFO.bytes + 16)
const VALUE_AT = INFO.bytes

/**
 * What the processes that had `fd` have read from it and written to it, according to the kernel. For a connection that was
 * accepted; one that was begun here counts its first segment too. Null when it is over, no TCP, or never at rest.
 */
export function kernelPosition(fd: OwnedFd): KernelPosition | null {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = totals(fd)
    if (before === null) return null
    const unread = queued(fd, SIOCINQ)
    const unacknowledged = queued(fd, SIOCOUTQ)
    const after = totals(fd)
    if (after === null || unread < 0 || unacknowledged < 0) return null
    if (after.received !== before.received || after.acked !== before.acked || after.state !== before.state) continue
    return {
      read: after.received - (PEER_HAS_ENDED.has(after.state) ? 1 : 0) - unread,
      written: after.acked + unacknowledged - (WE_HAVE_ENDED.has(after.state) ? 1 : 0),
    }
  }
  return null
}

function totals(fd: OwnedFd): { readonly state: number; readonly received: number; readonly acked: number } | null {
  const { bytes, address } = scratch
  bytes.writeInt32LE(INFO.bytes, VALUE_AT)
  if (native.getsockopt(fd.fd, IPPROTO_TCP, TCP_INFO, address, address + VALUE_AT) < 0) return null
  if (bytes.readInt32LE(VALUE_AT) < SMALLEST_INFO_BYTES) return null
  const state = bytes[INFO.state] ?? 0
  if (state !== ESTABLISHED && !PEER_HAS_ENDED.has(state) && !WE_HAVE_ENDED.has(state)) return null
  return {
    state,
    received: Number(bytes.readBigUInt64LE(INFO.bytesReceived)),
    acked: Number(bytes.readBigUInt64LE(INFO.bytesAcked)),
  }
}

function queued(fd: OwnedFd, request: number): number {
  if (native.ioctl(fd.fd, request, scratch.address + VALUE_AT + 8) < 0) return -1
  return scratch.bytes.readInt32LE(VALUE_AT + 8)
}
