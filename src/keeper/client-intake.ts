import { acceptClient } from '../io/listener.ts'
import { type Poller, READABLE } from '../io/poller.ts'
import type { Logger } from '../log.ts'
import type { NewClient } from '../memory/keeper-protocol.ts'
import type { ClientListener } from './client-listeners.ts'
import type { ClientTable } from './client-table.ts'
import { newClient } from './new-client.ts'

/** Clients taken from one listener before others get their turn. */
const ACCEPTS_PER_TURN = 64
/** While descriptors, or room in a plane's channel, are short, we look again after this time. */
const RETRY_MS = 20
const COMPLAIN_EVERY_MS = 10_000

/** Who serves clients: a plane. */
export interface ClientTaker {
  readonly index: number
  /** Runs, and took everything that was sent so far. */
  readonly acceptsClients: boolean
  /** Did not take everything: `flush` has to be tried again. */
  readonly isBacklogged: boolean
  announce(client: NewClient): void
  flush(): void
}

/** Where clients come from, and who takes them. */
export interface IntakeOptions {
  readonly poller: Poller
  readonly listeners: readonly ClientListener[]
  readonly clients: ClientTable
  readonly takers: readonly ClientTaker[]
  readonly log: Logger
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/**
 * - open: the listeners are watched.
 * - held: they are not, because no plane takes clients, or no slot or descriptor is free. Clients wait in the kernel
 *   and nothing spins.
 * - closed: for good.
 */
type IntakeState = 'open' | 'held' | 'closed'

/** Accepts clients and hands each to a plane. Does not own the listeners. */
export class ClientIntake {
  readonly #options: IntakeOptions
  #state: IntakeState = 'held'
  #watched: readonly number[] = []
  #isOutOfDescriptors = false
  #retry: NodeJS.Timeout | null = null
  #nextTaker = 0
  #complainedAt = Number.NEGATIVE_INFINITY

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** Opens or holds, as things are. Call it when a plane, a slot or a channel has become free or was lost. */
  look(): void {
    if (this.#state === 'closed') return
    const { takers, clients } = this.#options
    for (const taker of takers) taker.flush()
    const isPossible = clients.free > 0 && takers.some(({ acceptsClients }) => acceptsClients)
    this.#enter(isPossible && !this.#isOutOfDescriptors ? 'open' : 'held')
    if (this.#isOutOfDescriptors || takers.some(({ isBacklogged }) => isBacklogged)) this.#lookLater()
  }

  close(): void {
    this.#enter('closed')
    if (this.#retry !== null) clearTimeout(this.#retry)
  }

  #enter(state: IntakeState): void {
    if (state === this.#state) return
    const { listeners, poller } = this.#options
    if (state === 'open') {
      this.#watched = listeners.map((listener) =>
        poller.add(listener.fd, READABLE, { onReady: () => this.#accept(listener) }),
      )
    } else {
      for (const [index, key] of this.#watched.entries()) {
        const listener = listeners[index]
        if (listener !== undefined) poller.remove(key, listener.fd)
      }
      this.#watched = []
    }
    this.#state = state
  }

  #lookLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = null
      this.#isOutOfDescriptors = false
      this.look()
    }, RETRY_MS)
  }

  #accept({ fd, place }: ClientListener): void {
    for (let count = 0; count < ACCEPTS_PER_TURN && this.#options.clients.free > 0; count++) {
      const taker = this.#pickTaker()
      if (taker === null) break
      const accepted = acceptClient(fd)
      if (accepted === 'empty') break
      if (accepted === 'exhausted') {
        this.#isOutOfDescriptors = true
        this.#complain()
        break
      }
      const slot = this.#options.clients.hold(accepted.fd, taker.index)
      taker.announce(newClient(slot, accepted.peer, place.kind === 'tcp' ? place.port : 0))
    }
    this.look()
  }

  #complain(): void {
    const { clients, log, now } = this.#options
    if (now() - this.#complainedAt < COMPLAIN_EVERY_MS) return
    this.#complainedAt = now()
    log.warn(
      { clients: clients.count },
      'no file descriptor is free for a new client, which waits; raise the limit of open files ("ulimit -n")',
    )
  }

  /** In turn, so that planes get equally many. */
  #pickTaker(): ClientTaker | null {
    const { takers } = this.#options
    for (let step = 0; step < takers.length; step++) {
      const taker = takers[(this.#nextTaker + step) % takers.length]
      if (taker?.acceptsClients !== true) continue
      this.#nextTaker = (this.#nextTaker + step + 1) % takers.length
      return taker
    }
    return null
  }
}
