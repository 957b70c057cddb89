import { check, NativeBuffer, native } from './native.ts'
import type { OwnedFd } from './owned-fd.ts'

const EPOLL_CLOEXEC = 0o2000000
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const EPOLL_CTL_MOD = 3
const MAX_EVENTS = 512
const nothing = (): void => {}

export const READABLE = 0x001
export const WRITABLE = 0x004
/** The peer sends no more. Reported when asked for. */
export const PEER_ENDED = 0x2000
/** The peer is gone in both directions, or the socket has an error. Always reported. */
export const HANG_UP = 0x008 | 0x010

/** With others, of which it is told then: once, and again only when something new has come, or after `change`. */
export const ONCE = 1 << 31

/** What the poller tells when a descriptor is ready. Must not throw. */
export interface PollTarget {
  /** It is about to be told this, behind some others. */
  onComing?(events: number): void
  onReady(events: number): void
}

/** Who does at once for several events what each of them would do by itself. */
export interface EventsAhead {
  /** So many at most; 0: none. */
  readonly most: number
  /** Those are announced next that are told next. */
  begin(): void
  /** All have been announced. */
  fetch(): void
}

/**
 * epoll that calls the owner of each ready descriptor; level-triggered, but for what is watched with ONCE.
 *
 * A registration is a key (index and generation), so an event that is already in the batch for a descriptor closed a
 * moment ago finds nobody, even when its number was reused at once.
 */
export class Poller {
  readonly fd: number
  readonly #events = NativeBuffer.allocate(MAX_EVENTS * 16)
  readonly #event = NativeBuffer.allocate(16)
  readonly #words: Int32Array
  /** struct epoll_event is packed on x64 only: 12 bytes there, 16 elsewhere. */
  readonly #stride: number
  readonly #keyOffset: number
  readonly #targets: (PollTarget | null)[] = []
  readonly #generations: number[] = []
  readonly #free: number[] = []
  ahead: EventsAhead | null = null

  constructor(architecture: string) {
    this.fd = check('epoll_create1', native.epoll_create1(EPOLL_CLOEXEC))
    this.#stride = architecture === 'x64' ? 3 : 4
    this.#keyOffset = architecture === 'x64' ? 1 : 2
    const { bytes } = this.#events
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
  }

  /** Starts watching; returns the key for `change` and `remove`. */
  add(fd: OwnedFd, interest: number, target: PollTarget): number {
    const key = this.#free.pop() ?? this.#targets.length
    const generation = ((this.#generations[key] ?? 0) + 1) | 0
    this.#generations[key] = generation
    this.#targets[key] = target
    this.#control(EPOLL_CTL_ADD, fd.fd, key, interest)
    return key
  }

  /** Somebody else is told from now on. */
  retarget(key: number, target: PollTarget): void {
    this.#targets[key] = target
  }

  change(key: number, fd: OwnedFd, interest: number): void {
    this.#control(EPOLL_CTL_MOD, fd.fd, key, interest)
  }

  /** Stops watching; call it before the descriptor is closed, because a duplicate elsewhere would keep it watched. */
  remove(key: number, fd: OwnedFd): void {
    this.#targets[key] = null
    this.#free.push(key)
    native.epoll_ctl(this.fd, EPOLL_CTL_DEL, fd.fd, this.#event.address)
  }

  /** Waits at most `timeoutMs` (−1: for ever) and returns how many events `dispatch` will find. */
  wait(timeoutMs: number): number {
    const count = native.epoll_wait(this.fd, this.#events.address, MAX_EVENTS, timeoutMs)
    return count < 0 ? 0 : count
  }

  /** `settle` runs after each event. When something throws, what comes behind it is served first: it may not be told again. */
  dispatch(count: number, settle: () => void = nothing): void {
    this.#serve(0, count, settle, this.ahead)
  }

  #serve(first: number, count: number, settle: () => void, ahead: EventsAhead | null): void {
    let next = first
    try {
      for (let announced = first; next < count; ) {
        if (next === announced) announced += this.#announce(ahead, next, count)
        const target = this.#targetOf(next)
        const events = this.#words[next * this.#stride] ?? 0
        next++
        if (target === null) continue
        target.onReady(events)
        settle()
      }
    } finally {
      if (next < count) this.#serve(next, count, settle, null)
    }
  }

  /** Returns how many events come before others have to be announced. */
  #announce(ahead: EventsAhead | null, first: number, count: number): number {
    if (ahead === null || ahead.most === 0) return count
    const end = Math.min(count, first + ahead.most)
    ahead.begin()
    for (let event = first; event < end; event++) {
      this.#targetOf(event)?.onComing?.(this.#words[event * this.#stride] ?? 0)
    }
    ahead.fetch()
    return end - first
  }

  /** Whom the event is for; null: nobody any more. */
  #targetOf(event: number): PollTarget | null {
    const at = event * this.#stride
    const key = this.#words[at + this.#keyOffset] ?? 0
    return this.#generations[key] === this.#words[at + this.#keyOffset + 1] ? (this.#targets[key] ?? null) : null
  }

  /** Nothing is watched any more. */
  close(): void {
    native.close(this.fd)
  }

  #control(operation: number, fd: number, key: number, interest: number): void {
    const { bytes, address } = this.#event
    bytes.writeInt32LE(interest, 0)
    bytes.writeInt32LE(key, this.#keyOffset * 4)
    bytes.writeInt32LE(this.#generations[key] ?? 0, this.#keyOffset * 4 + 4)
    check('epoll_ctl', native.epoll_ctl(this.fd, operation, fd, address))
  }
}
