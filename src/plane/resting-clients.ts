import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, type PollTarget, READABLE } from '../io/poller.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'
import type { HeldClient } from './keeper-link.ts'

/** So many begin at a time while nobody asks for them: about two milliseconds. */
const BATCH = 16
const BATCH_EVERY_MS = 16
/** Before the first batch, those who waited for the take-over are served. */
const FIRST_BATCH_MS = 250

/** A client that another process has served, with nothing on its way in either direction and nothing that waits. */
export interface RestingClient {
  readonly slot: number
  readonly generation: number
  readonly fd: OwnedFd
  /** Under which the poller has it already; −1: it does not. */
  readonly key: number
  /** First i32 of its section. */
  readonly section: number
  readonly user: string
  readonly database: string
}

export interface RestingClientsHost {
  readonly now: number
  readonly poller: Poller
  readonly timers: TimerWheel
  /** Its session begins, and has its descriptor from now on. Null: it could not, and the connection is closed. */
  begin(client: RestingClient): PollTarget | null
  /** It counts as logged in; −1: it does so no more. */
  countLogin(client: RestingClient, delta: 1 | -1): void
  /** The last one has begun. */
  noneLeft(): void
}

/**
 * Clients of a plane that is gone whose sessions have not begun in this one: an idle client costs its successor one look at
 * its slot and one descriptor in the poller, so that those who want something are not kept waiting by all the others. A
 * session begins when its client says something, when anybody asks for it, or after a moment, in small batches.
 */
export class RestingClients {
  readonly #host: RestingClientsHost
  readonly #bySlot = new Map<number, Resting>()
  readonly #timer: Timer

  constructor(host: RestingClientsHost) {
    this.#host = host
    this.#timer = new Timer(() => this.#wakeSome())
  }

  get size(): number {
    return this.#bySlot.size
  }

  /** They are this plane's from now on, descriptors included. */
  add(clients: readonly RestingClient[]): void {
    for (const client of clients) {
      const resting = new Resting(this, client)
      this.#watch(resting)
      this.#bySlot.set(client.slot, resting)
      this.#host.countLogin(client, 1)
    }
    if (this.size === 0) this.#host.noneLeft()
    else this.#host.timers.arm(this.#timer, this.#host.now + FIRST_BATCH_MS)
  }

  #watch(resting: Resting): void {
    const { poller } = this.#host
    const { fd, key } = resting.client
    if (key >= 0) poller.retarget(key, resting)
    resting.key = key >= 0 ? key : poller.add(fd, READABLE, resting)
  }

  /** Its session begins now, if it rests here. Null: it does not, or cannot begin. */
  wake(slot: number): PollTarget | null {
    const resting = this.#bySlot.get(slot)
    return resting === undefined ? null : this.#wake(resting)
  }

  wakeAll(): void {
    for (const resting of [...this.#bySlot.values()]) this.#wake(resting)
  }

  /** With their descriptors, which stay theirs. */
  get all(): Iterable<HeldClient> {
    return Array.from(this.#bySlot.values(), ({ client }) => client)
  }

  /** For its event. */
  serve({ client }: Resting, events: number): void {
    this.wake(client.slot)?.onReady(events)
  }

  #wakeSome(): void {
    let left = BATCH
    for (const resting of this.#bySlot.values()) {
      if (left-- === 0) break
      this.#wake(resting)
    }
    if (this.size > 0) this.#host.timers.arm(this.#timer, this.#host.now + BATCH_EVERY_MS)
  }

  #wake({ client, key }: Resting): PollTarget | null {
    this.#bySlot.delete(client.slot)
    this.#host.poller.remove(key, client.fd)
    this.#host.countLogin(client, -1)
    const begun = this.#host.begin(client)
    if (this.size === 0) this.#host.noneLeft()
    return begun
  }
}

/** What the poller knows of one of them. */
class Resting implements PollTarget {
  readonly client: RestingClient
  readonly #all: RestingClients
  key = -1

  constructor(all: RestingClients, client: RestingClient) {
    this.#all = all
    this.client = client
  }

  onReady(events: number): void {
    this.#all.serve(this, events)
  }
}
