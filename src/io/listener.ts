import { CHANNEL_TYPE } from './fd-channel.ts'
import {
  AF_INET6,
  AF_UNIX,
  check,
  ERRNO,
  errno,
  NativeBuffer,
  native,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SystemError,
} from './native.ts'
import { OwnedFd } from './owned-fd.ts'
import {
  decodeSocketAddress,
  encodeSocketAddress,
  parseSocketAddress,
  SOCKET_ADDRESS_BYTES,
  type SocketAddress,
} from './socket-address.ts'

const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const CHANNEL_BACKLOG = 64

// asm-generic/errno-base.h and errno.h: the same numbers on x64 and arm64.
const EBADF = 9
const ENOMEM = 12
const EFAULT = 14
const EINVAL = 22
const ENOTSOCK = 88
const EOPNOTSUPP = 95
const ENOBUFS = 105

const scratch = NativeBuffer.allocate(SOCKET_ADDRESS_BYTES + 16)
const VALUE_AT = SOCKET_ADDRESS_BYTES

export interface ListenOptions {
  readonly backlog: number
  /** Leave IPv4 alone when listening on `::`, because another socket has it. */
  readonly ipv6Only: boolean
}

/** A listening, non-blocking stream socket. Throws `SystemError` (EADDRINUSE, EADDRNOTAVAIL, EACCES …). */
export function openListener(address: SocketAddress, options: ListenOptions): OwnedFd {
  const fd = new OwnedFd(check('socket', native.socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)))
  try {
    // Connections of an earlier process in TIME_WAIT do not keep us from the port; a listener still does.
    if (address.family !== AF_UNIX) setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    if (address.family === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6Only ? 1 : 0)
    const length = encodeSocketAddress(address, scratch.bytes)
    check('bind', native.bind(fd.fd, scratch.address, length))
    check('listen', native.listen(fd.fd, options.backlog))
    return fd
  } catch (error) {
    fd.close()
    throw error
  }
}

/** A listening, non-blocking Unix socket for `FdChannel.dial`. `path` must be free. Throws `SystemError`. */
export function openChannelListener(path: string): OwnedFd {
  const fd = new OwnedFd(check('socket', native.socket(AF_UNIX, CHANNEL_TYPE, 0)))
  try {
    const length = encodeSocketAddress(parseSocketAddress(path, 0), scratch.bytes)
    check('bind', native.bind(fd.fd, scratch.address, length))
    check('listen', native.listen(fd.fd, CHANNEL_BACKLOG))
    return fd
  } catch (error) {
    fd.close()
    throw error
  }
}

export interface Accepted {
  readonly fd: OwnedFd
  readonly peer: SocketAddress
}

/**
 * The next client. `empty`: nobody waits. `exhausted`: no descriptor or memory is free here or in the whole system;
 * the client goes on waiting. Clients that left while they waited are passed over.
 */
export function acceptClient(listener: OwnedFd): Accepted | 'empty' | 'exhausted' {
  for (;;) {
    scratch.bytes.writeInt32LE(SOCKET_ADDRESS_BYTES, VALUE_AT)
    const flags = SOCK_NONBLOCK | SOCK_CLOEXEC
    const fd = native.accept4(listener.fd, scratch.address, scratch.address + VALUE_AT, flags)
    if (fd >= 0) {
      return { fd: new OwnedFd(fd), peer: decodeSocketAddress(scratch.bytes, scratch.bytes.readInt32LE(VALUE_AT)) }
    }
    switch (errno()) {
      case ERRNO.EAGAIN:
        return 'empty'
      case ERRNO.EMFILE:
      case ERRNO.ENFILE:
      case ENOBUFS:
      case ENOMEM:
        return 'exhausted'
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
      case EFAULT:
      case EOPNOTSUPP:
        throw new SystemError('accept4')
      // All others are errors of this one client's connection, accept(2) says: go on with the next.
    }
  }
}

function setOption(fd: OwnedFd, level: number, name: number, value: number): void {
  scratch.bytes.writeInt32LE(value, VALUE_AT)
  check('setsockopt', native.setsockopt(fd.fd, level, name, scratch.address + VALUE_AT, 4))
}
