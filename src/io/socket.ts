import {
  AF_UNIX,
  check,
  ERRNO,
  errno,
  MSG_NOSIGNAL,
  NativeBuffer,
  native,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SystemError,
} from './native.ts'
import { OwnedFd } from './owned-fd.ts'
import { decodeSocketAddress, encodeSocketAddress, SOCKET_ADDRESS_BYTES, type SocketAddress } from './socket-address.ts'

const SOL_SOCKET = 1
const SO_ERROR = 4
const SO_KEEPALIVE = 9
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const TCP_KEEPIDLE = 4
const TCP_KEEPINTVL = 5
const TCP_KEEPCNT = 6
const TCP_USER_TIMEOUT = 18
const SHUT_WR = 1
const SHUT_RDWR = 2

/** Results of `receive` and `send` that are not a byte count. */
export const WOULD_BLOCK = -1
export const FAILED = -2

const scratch = NativeBuffer.allocate(SOCKET_ADDRESS_BYTES + 16)
const VALUE_AT = SOCKET_ADDRESS_BYTES

/** The error of the last `receive` or `send` that returned FAILED. */
export let lastSocketError = 0

/** Bytes from the kernel into `target`: a count, 0 when the peer will send no more, WOULD_BLOCK or FAILED. */
export function receive(fd: OwnedFd, target: NativeBuffer, offset: number, most: number): number {
  const count = native.recv(fd.fd, target.address + offset, most, 0)
  return count >= 0 ? count : failure()
}

/** Bytes of `source` to the kernel: how many it took (maybe fewer), WOULD_BLOCK or FAILED. */
export function send(fd: OwnedFd, source: NativeBuffer, offset: number, bytes: number): number {
  const count = native.send(fd.fd, source.address + offset, bytes, MSG_NOSIGNAL)
  return count >= 0 ? count : failure()
}

function failure(): number {
  lastSocketError = errno()
  return isTransient(lastSocketError) ? WOULD_BLOCK : FAILED
}

/** The same call may work later. */
export function isTransient(code: number): boolean {
  return code === ERRNO.EAGAIN || code === ERRNO.EINTR
}

/** Starts a non-blocking connect; the socket becomes writable when it is decided: ask `connectResult`. Throws SystemError. */
export function startConnect(address: SocketAddress): OwnedFd {
  const fd = new OwnedFd(check('socket', native.socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)))
  const length = encodeSocketAddress(address, scratch.bytes)
  if (native.connect(fd.fd, scratch.address, length) < 0 && errno() !== ERRNO.EINPROGRESS) {
    const error = new SystemError('connect')
    fd.close()
    throw error
  }
  return fd
}

/** Both ends of a stream, non-blocking. */
export function openSocketPair(): [OwnedFd, OwnedFd] {
  const pair = NativeBuffer.allocate(8)
  check('socketpair', native.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.address))
  return [new OwnedFd(pair.bytes.readInt32LE(0)), new OwnedFd(pair.bytes.readInt32LE(4))]
}

/** 0 when a connect begun by `startConnect` succeeded, else its error number. */
export function connectResult(fd: OwnedFd): number {
  scratch.bytes.writeInt32LE(4, VALUE_AT + 4)
  const result = native.getsockopt(
    fd.fd,
    SOL_SOCKET,
    SO_ERROR,
    scratch.address + VALUE_AT,
    scratch.address + VALUE_AT + 4,
  )
  return result < 0 ? errno() : scratch.bytes.readInt32LE(VALUE_AT)
}

/** Small writes leave at once; a vanished peer is noticed within a few minutes. Harmless on Unix sockets. */
export function tuneSocket(fd: OwnedFd, family: number): void {
  if (family === AF_UNIX) return
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1)
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60)
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10)
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 6)
  setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 120_000)
}

function setOption(fd: OwnedFd, level: number, name: number, value: number): void {
  scratch.bytes.writeInt32LE(value, VALUE_AT)
  native.setsockopt(fd.fd, level, name, scratch.address + VALUE_AT, 4)
}

/** Our end of a connected socket. */
export function localAddress(fd: OwnedFd): SocketAddress {
  scratch.bytes.writeInt32LE(SOCKET_ADDRESS_BYTES, VALUE_AT)
  check('getsockname', native.getsockname(fd.fd, scratch.address, scratch.address + VALUE_AT))
  return decodeSocketAddress(scratch.bytes, scratch.bytes.readInt32LE(VALUE_AT))
}

/** The other end of a connected socket; null when it is connected no more. */
export function peerAddress(fd: OwnedFd): SocketAddress | null {
  scratch.bytes.writeInt32LE(SOCKET_ADDRESS_BYTES, VALUE_AT)
  if (native.getpeername(fd.fd, scratch.address, scratch.address + VALUE_AT) < 0) return null
  return decodeSocketAddress(scratch.bytes, scratch.bytes.readInt32LE(VALUE_AT))
}

/** Tells the peer that no more bytes come; what is in the kernel's buffer still goes out. */
export function shutdownWrite(fd: OwnedFd): void {
  native.shutdown(fd.fd, SHUT_WR)
}

/** Ends both directions for every holder of the connection, duplicates in other processes included. */
export function shutdownBoth(fd: OwnedFd): void {
  native.shutdown(fd.fd, SHUT_RDWR)
}
