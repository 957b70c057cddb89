import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, type PollTarget, READABLE } from '../io/poller.ts'
import { CLIENT } from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'

/** A client's descriptor that the poller knows. */
export interface WatchedClient extends SlotReference {
  readonly fd: OwnedFd
  /** Of the poller. */
  readonly key: number
}

/** Nobody waits on that poller yet. */
const NOBODY: PollTarget = { onReady: () => {} }

/**
 * Clients of a plane that works, with the process that is to follow it: their descriptors are received and watched while nobody waits
 * for that. Nothing is read from them and nothing written, neither there nor in shared memory, and the poller must not be
 * waited on: whatever happens to them is the other process's business. When the plane lets go, some have left.
 */
export class AheadClients {
  readonly #poller: Poller
  readonly #slots: Region
  readonly #bySlot = new Map<number, WatchedClient>()

  /** `slots`: of clients. */
  constructor(poller: Poller, slots: Region) {
    this.#poller = poller
    this.#slots = slots
  }

  /** Owns the descriptor from here on. */
  add({ slot, generation }: SlotReference, fd: OwnedFd): void {
    // The first look at its slot has the kernel map the page.
    void this.#slots.i32[slot * (this.#slots.recordBytes >> 2) + CLIENT.state]
    this.#bySlot.set(slot, { slot, generation, fd, key: this.#poller.add(fd, READABLE, NOBODY) })
  }

  /** The other process had it no more. */
  end({ slot, generation }: SlotReference): void {
    const client = this.#bySlot.get(slot)
    if (client?.generation !== generation) return
    this.#bySlot.delete(slot)
    this.#poller.remove(client.key, client.fd)
    client.fd.close()
  }

  /** Those that are left, with their descriptors, once. */
  takeAll(): readonly WatchedClient[] {
    const all = [...this.#bySlot.values()]
    this.#bySlot.clear()
    return all
  }
}
