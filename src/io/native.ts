import koffi from 'koffi'

/**
 * The system calls the reactor makes, through FFI (150–250 ns each, the call included). Addresses cross as plain
 * numbers: user-space addresses fit in 53 bits. Nothing outside `io/` may hold one.
 *
 * Every function returns what the C function returns; -1 means look at `errno()` before the next call.
 */
const libc = koffi.load(null)

export const native = {
  recv: libc.func('int64_t recv(int, uintptr_t, size_t, int)') as (
    fd: number,
    at: number,
    bytes: number,
    flags: number,
  ) => number,
  send: libc.func('int64_t send(int, uintptr_t, size_t, int)') as (
    fd: number,
    at: number,
    bytes: number,
    flags: number,
  ) => number,
  read: libc.func('int64_t read(int, uintptr_t, size_t)') as (fd: number, at: number, bytes: number) => number,
  write: libc.func('int64_t write(int, uintptr_t, size_t)') as (fd: number, at: number, bytes: number) => number,
  sendmsg: libc.func('int64_t sendmsg(int, uintptr_t, int)') as (fd: number, message: number, flags: number) => number,
  recvmsg: libc.func('int64_t recvmsg(int, uintptr_t, int)') as (fd: number, message: number, flags: number) => number,
  socket: libc.func('int socket(int, int, int)') as (family: number, type: number, protocol: number) => number,
  socketpair: libc.func('int socketpair(int, int, int, uintptr_t)') as (
    family: number,
    type: number,
    protocol: number,
    pair: number,
  ) => number,
  bind: libc.func('int bind(int, uintptr_t, int)') as (fd: number, address: number, bytes: number) => number,
  listen: libc.func('int listen(int, int)') as (fd: number, backlog: number) => number,
  accept4: libc.func('int accept4(int, uintptr_t, uintptr_t, int)') as (
    fd: number,
    address: number,
    bytes: number,
    flags: number,
  ) => number,
  connect: libc.func('int connect(int, uintptr_t, int)') as (fd: number, address: number, bytes: number) => number,
  shutdown: libc.func('int shutdown(int, int)') as (fd: number, how: number) => number,
  close: libc.func('int close(int)') as (fd: number) => number,
  getsockopt: libc.func('int getsockopt(int, int, int, uintptr_t, uintptr_t)') as (
    fd: number,
    level: number,
    name: number,
    value: number,
    bytes: number,
  ) => number,
  setsockopt: libc.func('int setsockopt(int, int, int, uintptr_t, int)') as (
    fd: number,
    level: number,
    name: number,
    value: number,
    bytes: number,
  ) => number,
  getsockname: libc.func('int getsockname(int, uintptr_t, uintptr_t)') as (
    fd: number,
    address: number,
    bytes: number,
  ) => number,
  getpeername: libc.func('int getpeername(int, uintptr_t, uintptr_t)') as (
    fd: number,
    address: number,
    bytes: number,
  ) => number,
  ioctl: libc.func('int ioctl(int, size_t, uintptr_t)') as (fd: number, request: number, value: number) => number,
  fcntl: libc.func('int fcntl(int, int, int)') as (fd: number, command: number, value: number) => number,
  epoll_create1: libc.func('int epoll_create1(int)') as (flags: number) => number,
  epoll_ctl: libc.func('int epoll_ctl(int, int, int, uintptr_t)') as (
    epoll: number,
    operation: number,
    fd: number,
    event: number,
  ) => number,
  epoll_wait: libc.func('int epoll_wait(int, uintptr_t, int, int)') as (
    epoll: number,
    events: number,
    most: number,
    timeoutMs: number,
  ) => number,
  memfd_create: libc.func('int memfd_create(const char *, int)') as (name: string, flags: number) => number,
  ftruncate: libc.func('int ftruncate(int, int64_t)') as (fd: number, bytes: number) => number,
  mmap: libc.func('uintptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)') as (
    at: number,
    bytes: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => number,
  munmap: libc.func('int munmap(uintptr_t, size_t)') as (at: number, bytes: number) => number,
  madvise: libc.func('int madvise(uintptr_t, size_t, int)') as (at: number, bytes: number, advice: number) => number,
  mincore: libc.func('int mincore(uintptr_t, size_t, uintptr_t)') as (
    at: number,
    bytes: number,
    pages: number,
  ) => number,
  malloc_trim: libc.func('int malloc_trim(size_t)') as (kept: number) => number,
  mlock2: libc.func('int mlock2(uintptr_t, size_t, int)') as (at: number, bytes: number, flags: number) => number,
  _exit: libc.func('void _exit(int)') as (code: number) => void,
  /** For calls that the C library has no function for. */
  syscall: libc.func('int64_t syscall(int64_t, int64_t, uintptr_t, int64_t, int64_t, int64_t, int64_t)') as (
    number: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
  ) => number,
  waitpid: libc.func('int waitpid(int, uintptr_t, int)') as (pid: number, status: number, options: number) => number,
  getrlimit: libc.func('int getrlimit(int, uintptr_t)') as (resource: number, limits: number) => number,
  setrlimit: libc.func('int setrlimit(int, uintptr_t)') as (resource: number, limits: number) => number,
  prctl: libc.func('int prctl(int, size_t, size_t, size_t, size_t)') as (
    option: number,
    a: number,
    b: number,
    c: number,
    d: number,
  ) => number,
}

/** The error number of the last failed call on this thread. */
export const errno = (): number => koffi.errno()

export const ERRNO = koffi.os.errno as Readonly<
  Record<'EAGAIN' | 'EINTR' | 'EINVAL' | 'EINPROGRESS' | 'ECONNRESET' | 'EMFILE' | 'ENFILE' | 'EADDRINUSE', number>
>

/** `connect: ECONNREFUSED`, for logs. */
export function describeErrno(call: string, code: number): string {
  for (const [name, value] of Object.entries(ERRNO)) if (value === code) return `${call}: ${name}`
  return `${call}: errno ${code}`
}

/** A system call that must not fail here did; the message names call and error. */
export class SystemError extends Error {
  readonly errno: number
  constructor(call: string, code: number = errno()) {
    super(describeErrno(call, code))
    this.name = 'SystemError'
    this.errno = code
  }
}

/** The result of `call` if it is not negative, else throws `SystemError`. */
export function check(call: string, result: number): number {
  if (result < 0) throw new SystemError(call)
  return result
}

export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
export const SOCK_STREAM = 1
export const SOCK_SEQPACKET = 5
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000
export const MSG_DONTWAIT = 0x40
export const MSG_NOSIGNAL = 0x4000

/** The address of the first byte of `bytes`, which must stay referenced as long as the address is used. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes))
}

/** An ArrayBuffer over foreign memory. */
export function viewMemory(address: number, bytes: number): ArrayBuffer {
  return koffi.view(address, bytes)
}

/** Memory with a known address that the garbage collector neither moves nor frees while this object is reachable. */
export class NativeBuffer {
  readonly bytes: Buffer
  readonly address: number
  readonly size: number
  /** 0: its bytes may change at any time. Else the last batch of sends that refers to them: see `SendBatch`. */
  batch = 0

  private constructor(bytes: Buffer, address: number) {
    this.bytes = bytes
    this.address = address
    this.size = bytes.length
  }

  /** `size` zeroed bytes of this process. Not from Node's small-buffer pool, so the address is this buffer's own. */
  static allocate(size: number): NativeBuffer {
    const bytes = Buffer.alloc(size)
    return new NativeBuffer(bytes, addressOf(bytes))
  }

  /** From now on who writes into it asks `SendBatch.holds` before. */
  keepStable(): void {
    this.batch = -1
  }

  /** A window of a mapping. */
  static over(memory: ArrayBuffer, baseAddress: number, offset: number, size: number): NativeBuffer {
    return new NativeBuffer(Buffer.from(memory, offset, size), baseAddress + offset)
  }
}
