import { setTimeout as sleep } from 'node:timers/promises'
import { FdChannel } from '../io/fd-channel.ts'
import { acceptClient, openChannelListener } from '../io/listener.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { ListeningPlace } from '../memory/keeper-control-protocol.ts'
import { type Adoptee, decodePlaneMessage, MAX_PACKET_BYTES } from '../memory/keeper-protocol.ts'

const LOOK_EVERY_MS = 2

/** A place where clients connect, with its descriptor. */
export interface KeptListener {
  readonly place: ListeningPlace
  readonly fd: OwnedFd
}

/** A plane whose keeper has died. What it has to say of its connections is still in the channel. */
export interface Orphan {
  readonly adoptee: Adoptee
  readonly channel: OwnedFd
}

/** What planes have kept of a router whose keeper has died. */
export interface Orphanage {
  readonly orphans: readonly Orphan[]
  readonly memory: OwnedFd
  /** Says, as long as it is open anywhere, that planes live. */
  readonly lock: OwnedFd
  readonly listeners: readonly KeptListener[]
}

/** Where planes of an earlier keeper are looked for, and for how long. */
export interface OrphanSearch {
  /** Where planes dial; nothing is there. */
  readonly path: string
  /** How many planes there are, as the shared memory says. */
  readonly count: (memory: OwnedFd) => number
  readonly areAlive: () => boolean
  /** For the first one, and for the others after it. */
  readonly patienceMs: number
}

/**
 * Waits for the planes of a router whose keeper has died. Null when they have ended meanwhile, or do not come in time. Owns
 * nothing afterwards but the channel listener, which it closes: planes dial it only to be adopted.
 */
export async function findOrphans({ path, count, areAlive, patienceMs }: OrphanSearch): Promise<Orphanage | null> {
  const listener = openChannelListener(path)
  const arrivals: Arrival[] = []
  try {
    let wanted = Number.POSITIVE_INFINITY
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += LOOK_EVERY_MS) {
      for (let next = acceptClient(listener); typeof next === 'object'; next = acceptClient(listener)) {
        arrivals.push(new Arrival(next.fd))
      }
      for (const arrival of arrivals) arrival.look()
      const complete = arrivals.filter(({ isComplete }) => isComplete)
      const memory = complete[0]?.memory ?? null
      if (memory !== null) wanted = count(memory)
      if (complete.length >= wanted) break
      if (!areAlive()) break
      await sleep(LOOK_EVERY_MS)
    }
  } finally {
    listener.close()
  }
  return orphanageOf(arrivals.filter(({ isComplete }) => isComplete))
}

function orphanageOf(arrivals: readonly Arrival[]): Orphanage | null {
  const [first, ...others] = arrivals
  if (first?.memory == null || first.lock === null) return null
  // All have the same.
  for (const { memory, lock, listeners } of others) {
    memory?.close()
    lock?.close()
    for (const { fd } of listeners) fd.close()
  }
  const orphans = arrivals.flatMap(({ adoptee, channel }) => (adoptee === null ? [] : [{ adoptee, channel }]))
  return { orphans, memory: first.memory, lock: first.lock, listeners: first.listeners }
}

/** A plane that has dialled, and as much as it has said of itself. */
class Arrival {
  readonly channel: OwnedFd
  readonly listeners: KeptListener[] = []
  adoptee: Adoptee | null = null
  memory: OwnedFd | null = null
  lock: OwnedFd | null = null
  readonly #packets: FdChannel

  constructor(channel: OwnedFd) {
    this.channel = channel
    this.#packets = new FdChannel(channel, MAX_PACKET_BYTES)
  }

  get isComplete(): boolean {
    return this.adoptee !== null && this.listeners.length === this.adoptee.listeners
  }

  /** Reads no further than its own introduction. */
  look(): void {
    while (!this.isComplete && !this.channel.closed) {
      const received = this.#packets.receive()
      if (received === 'empty') return
      if (received === 'gone') {
        this.channel.close()
        return
      }
      const message = decodePlaneMessage(received.bytes)
      const [first, second] = received.fds
      if (message.op === 'adopt') {
        this.adoptee = message.adoptee
        this.memory = first ?? null
        this.lock = second ?? null
      } else if (message.op === 'listener' && first !== undefined) {
        this.listeners.push({ place: message.place, fd: first })
      }
    }
  }
}
