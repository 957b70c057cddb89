import {
  AF_UNIX,
  check,
  ERRNO,
  errno,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  NativeBuffer,
  native,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SystemError,
} from './native.ts'
import { OwnedFd } from './owned-fd.ts'
import { encodeSocketAddress, parseSocketAddress, SOCKET_ADDRESS_BYTES } from './socket-address.ts'

const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_PEEK = 0x2
const MSG_CTRUNC = 0x8
const MSG_TRUNC = 0x20
const MSG_CMSG_CLOEXEC = 0x40000000

// asm-generic/errno.h: the same numbers on x64 and arm64.
const ENOMEM = 12
const EPIPE = 32
const ENOBUFS = 105
const ENOTCONN = 107
const ETOOMANYREFS = 109
const ECONNREFUSED = 111

/** The kernel's SCM_MAX_FD: more descriptors in one message are refused with EINVAL. */
export const MAX_DESCRIPTORS = 253

/**
 * One scratch area per channel, LP64 as on x64 and arm64 (socket(7), cmsg(3)):
 *
 *   msghdr 56: name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40, flags 48 | iovec at 64: base, length
 *   control at 128: length 0, level 8, type 12, then the descriptors | bytes at 2048
 */
const IOVEC = 64
const CONTROL = 128
const CONTROL_HEADER_BYTES = 16
const CONTROL_BYTES = 1040
const BYTES = 2048

export const CHANNEL_TYPE: number = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC

export type SendResult = 'sent' | 'full' | 'gone'

export interface Received {
  /** One packet. A view of the channel's buffer: valid until the next `receive`. */
  readonly bytes: Buffer
  /** Close-on-exec; the receiver owns them, also when `truncated`. */
  readonly fds: readonly OwnedFd[]
  /**
   * Descriptors were lost because this process is at its RLIMIT_NOFILE (the first ones arrived), or bytes because the
   * packet is longer than this channel's buffer.
   */
  readonly truncated: boolean
}

/**
 * A SEQPACKET Unix socket that carries small packets and file descriptors (SCM_RIGHTS, unix(7)). Never blocks. The
 * channel owns its descriptor; `close` closes it, after which only `closed` may be asked.
 */
export class FdChannel {
  readonly #fd: OwnedFd
  readonly #scratch: NativeBuffer
  readonly #view: DataView
  readonly #packetBytes: number

  /** `packetBytes`: the longest packet that is sent or received whole. */
  constructor(fd: OwnedFd, packetBytes = 4096) {
    this.#fd = fd
    this.#packetBytes = packetBytes
    this.#scratch = NativeBuffer.allocate(BYTES + packetBytes)
    const { buffer, byteOffset, length } = this.#scratch.bytes
    this.#view = new DataView(buffer, byteOffset, length)
    this.#setAddress(16, this.#scratch.address + IOVEC)
    this.#setAddress(24, 1)
    this.#setAddress(IOVEC, this.#scratch.address + BYTES)
  }

  /** Both ends of a fresh channel, non-blocking and close-on-exec. */
  static pair(): [OwnedFd, OwnedFd] {
    const pair = NativeBuffer.allocate(8)
    check('socketpair', native.socketpair(AF_UNIX, CHANNEL_TYPE, 0, pair.address))
    return [new OwnedFd(pair.bytes.readInt32LE(0)), new OwnedFd(pair.bytes.readInt32LE(4))]
  }

  /** One end of a channel whose other end is the next `acceptClient` of the listener at `path`. Throws `SystemError`. */
  static dial(path: string): OwnedFd {
    const fd = new OwnedFd(check('socket', native.socket(AF_UNIX, CHANNEL_TYPE, 0)))
    const address = NativeBuffer.allocate(SOCKET_ADDRESS_BYTES)
    const length = encodeSocketAddress(parseSocketAddress(path, 0), address.bytes)
    if (native.connect(fd.fd, address.address, length) === 0) return fd
    const error = new SystemError('connect')
    fd.close()
    throw error
  }

  /** The number, to wait for it. */
  get fd(): number {
    return this.#fd.fd
  }

  get closed(): boolean {
    return this.#fd.closed
  }

  /**
   * Sends the first `length` bytes of `bytes` as one packet with duplicates of `fds`, which stay the caller's.
   * `full`: nothing was sent, try again when the peer has read. `gone`: the peer closed its end or died.
   */
  send(bytes: Uint8Array, length: number, fds: readonly number[]): SendResult {
    if (length < 1 || length > this.#packetBytes) throw new RangeError(`a packet of ${length} bytes`)
    if (fds.length > MAX_DESCRIPTORS) throw new RangeError(`${fds.length} descriptors in one packet`)
    const { bytes: scratch, address } = this.#scratch
    scratch.set(length === bytes.length ? bytes : bytes.subarray(0, length), BYTES)
    this.#setAddress(IOVEC + 8, length)
    const control = CONTROL_HEADER_BYTES + 4 * fds.length
    this.#setControl(fds.length === 0 ? 0 : (control + 7) & ~7)
    if (fds.length > 0) {
      this.#setAddress(CONTROL, control)
      this.#view.setInt32(CONTROL + 8, SOL_SOCKET, true)
      this.#view.setInt32(CONTROL + 12, SCM_RIGHTS, true)
      for (const [index, fd] of fds.entries()) {
        this.#view.setInt32(CONTROL + CONTROL_HEADER_BYTES + 4 * index, fd, true)
      }
    }
    for (;;) {
      if (native.sendmsg(this.#fd.fd, address, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 'sent'
      switch (errno()) {
        case ERRNO.EINTR:
          continue
        case ERRNO.EAGAIN:
        case ENOBUFS:
        case ENOMEM:
        // Too many descriptors of this user are on their way and not yet received.
        case ETOOMANYREFS:
          return 'full'
        case EPIPE:
        case ERRNO.ECONNRESET:
        case ENOTCONN:
        case ECONNREFUSED:
          return 'gone'
        default:
          throw new SystemError('sendmsg')
      }
    }
  }

  /** The first byte of the next packet, which stays where it is; −1: there is none. */
  peek(): number {
    const { bytes, address } = this.#scratch
    return native.recv(this.#fd.fd, address + BYTES, 1, MSG_PEEK | MSG_DONTWAIT) === 1 ? (bytes[BYTES] as number) : -1
  }

  /**
   * The next packet, `empty` when there is none, or `gone` when there will be none any more: the peer closed its end or
   * died (the kernel says ECONNRESET rather than end of file when the peer left packets unread).
   */
  receive(): Received | 'empty' | 'gone' {
    const { bytes: scratch, address } = this.#scratch
    for (;;) {
      this.#setAddress(IOVEC + 8, this.#packetBytes)
      this.#setControl(CONTROL_BYTES)
      this.#view.setInt32(48, 0, true)
      const length = native.recvmsg(this.#fd.fd, address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
      if (length > 0) {
        const lost = MSG_CTRUNC | MSG_TRUNC
        const truncated = (this.#view.getInt32(48, true) & lost) !== 0
        return { bytes: scratch.subarray(BYTES, BYTES + length), fds: this.#receivedDescriptors(), truncated }
      }
      if (length === 0) return 'gone'
      const code = errno()
      if (code === ERRNO.EINTR) continue
      return code === ERRNO.EAGAIN ? 'empty' : 'gone'
    }
  }

  close(): void {
    this.#fd.close()
  }

  #receivedDescriptors(): readonly OwnedFd[] {
    const fds: OwnedFd[] = []
    const end = Number(this.#view.getBigUint64(40, true))
    for (let at = 0; at + CONTROL_HEADER_BYTES <= end; ) {
      const length = Number(this.#view.getBigUint64(CONTROL + at, true))
      if (length < CONTROL_HEADER_BYTES) break
      const level = this.#view.getInt32(CONTROL + at + 8, true)
      const type = this.#view.getInt32(CONTROL + at + 12, true)
      if (level === SOL_SOCKET && type === SCM_RIGHTS) {
        for (let offset = CONTROL_HEADER_BYTES; offset + 4 <= length; offset += 4) {
          fds.push(new OwnedFd(this.#view.getInt32(CONTROL + at + offset, true)))
        }
      }
      at += (length + 7) & ~7
    }
    return fds
  }

  #setControl(bytes: number): void {
    this.#setAddress(32, bytes === 0 ? 0 : this.#scratch.address + CONTROL)
    this.#setAddress(40, bytes)
  }

  /** A pointer or size_t: user-space addresses fit in a double. */
  #setAddress(at: number, value: number): void {
    this.#view.setUint32(at, value % 2 ** 32, true)
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
  }
}
