import { rmSync } from 'node:fs'
import { BufferArena } from '../io/buffer-arena.ts'
import { planeMemory } from '../io/plane-memory.ts'
import { Poller } from '../io/poller.ts'
import { ReadAhead } from '../io/read-ahead.ts'
import { ReadBuffers } from '../io/read-buffers.ts'
import { SendBatch, type SendQueue } from '../io/send-batch.ts'
import { createMemoryFile, SharedMapping } from '../io/shared-memory.ts'
import { openSocketPair } from '../io/socket.ts'
import { Steps } from '../io/steps.ts'
import { regionsOf, valueStoreBytes } from '../memory/layout.ts'
import { formatSharedState } from '../memory/shared-state.ts'
import { StepLog } from '../memory/step-log.ts'
import { ValueStore } from '../memory/value-store.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import type { Shard } from '../shard/topology.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import { Plane } from './plane.ts'
import { RehearsalClient } from './rehearsal-client.ts'
import { RehearsalShard } from './rehearsal-shard.ts'
import { rehearsalValues } from './rehearsal-values.ts'

/** More clients than server connections, so that some wait. */
const CLIENTS = 16
const SERVERS = 12
const SIZE = { clients: CLIENTS, servers: SERVERS, preparedStatements: 10 }
const GEOMETRY = {
  clientSlots: 2 * CLIENTS,
  ordinaryClientSlots: CLIENTS,
  serverSlots: 2 * SERVERS,
  poolRecords: 4,
  planes: 1,
  arenaBytesPerPlane: 16 * 1024 * 1024,
} as const
/** Turns without an answer, after which nobody waits for one any more. */
const MOST_IDLE_TURNS = 1000
const FAREWELL_TURNS = 100

export interface RehearsalOptions {
  readonly architecture: string
  /** Where its shard may listen: a path that is free, in a directory that is nobody else's. */
  readonly socketPath: string
  /** What the plane that works has been told; null: not known, or there is none. */
  readonly example: PlaneValues | null
  /** How sends leave. */
  readonly queue: SendQueue
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly mostMs: number
  readonly mostRequests: number
  /** Somebody has something more important to do; asked once a turn. */
  readonly isOver: () => boolean
}

/**
 * Runs queries of every protocol through a plane of its own, over real sockets and with nothing shared, before this process has any to
 * serve: V8 has then compiled the code that queries run through. Without it the first seconds cost three times as much.
 * Returns how many requests were answered. Throws SystemError when there is no room for it.
 */
export function rehearse(options: RehearsalOptions): number {
  const { clock, mostMs, mostRequests, isOver } = options
  const shard = new RehearsalShard(options.socketPath)
  const stage = new RehearsalStage(options, shard.value)
  const clients = Array.from({ length: CLIENTS }, (_, slot) => stage.connect(slot))
  const until = clock() + mostMs
  const answered = (): number => clients.reduce((sum, client) => sum + client.answered, 0)
  let idle = 0
  const turn = (isLast: boolean): void => {
    stage.turn()
    shard.turn()
    stage.turn()
    idle++
    for (const client of clients) if (client.turn(isLast)) idle = 0
  }
  while (!isOver() && clock() < until && idle < MOST_IDLE_TURNS && answered() < mostRequests) turn(false)
  const count = answered()
  // Requests that nobody waits for would have to be cancelled.
  for (let last = 0; last < FAREWELL_TURNS && !clients.every((client) => client.isDone); last++) turn(true)
  for (const client of clients) client.close()
  stage.close()
  shard.close()
  rmSync(options.socketPath, { force: true })
  return count
}

/** The plane of a rehearsal, with memory, poller and timers of its own. */
class RehearsalStage {
  readonly #clock: () => number
  readonly #plane: Plane
  readonly #poller: Poller
  readonly #timers: TimerWheel
  readonly #mapping: SharedMapping
  readonly #bytes: number
  readonly #afterEvent: () => void

  constructor({ architecture, queue, clock, example }: RehearsalOptions, shard: Shard) {
    const { totalBytes, arenas } = regionsOf(GEOMETRY)
    const file = createMemoryFile('rehearsal', totalBytes)
    const mapping = new SharedMapping(file, totalBytes)
    file.close()
    this.#clock = clock
    this.#mapping = mapping
    this.#bytes = totalBytes
    const shared = formatSharedState(mapping.memory, GEOMETRY, 0)
    const memory = planeMemory(mapping, arenas, totalBytes - arenas, valueStoreBytes(GEOMETRY.arenaBytesPerPlane))
    const arena = new BufferArena(memory.buffers, (offset, bytes) => mapping.discard(memory.buffersAt + offset, bytes))
    const steps = new Steps(new StepLog(memory.stepLog), arena, null)
    const sends = new SendBatch(queue, steps, memory.own)
    const reads = new ReadBuffers(memory.reads, sends, steps)
    const readAhead = new ReadAhead(queue.receives, reads, sends, steps)
    this.#poller = new Poller(architecture)
    this.#poller.ahead = readAhead
    this.#timers = new TimerWheel(clock())
    this.#plane = new Plane({
      planeIndex: 0,
      shared,
      ...{ poller: this.#poller, timers: this.#timers, arena, reads, readAhead, sends, steps, clock },
      gathers: memory,
      store: new ValueStore(memory.values),
      values: rehearsalValues(shard, SIZE, { mode: 'shadow', hints: true }, example),
      random: () => 0.5,
      opinion: null,
      randomBytes: (count) => Buffer.alloc(count),
      tell: () => true,
      gone: () => {},
      keep: () => {},
      drop: () => {},
    })
    this.#plane.now = clock()
    this.#afterEvent = () => {
      this.#plane.deferred.run()
      this.#plane.progress[0] = 0
      if (this.#plane.isCrowded) this.#plane.settle()
    }
  }

  connect(slot: number): RehearsalClient {
    const [ours, theirs] = openSocketPair()
    const place = { slot, generation: 1, family: 1, remotePort: 0, localPort: 0, address: '' } as const
    this.#plane.accept(place, theirs)
    return new RehearsalClient(ours)
  }

  /** One wake-up of the reactor, without sleeping. */
  turn(): void {
    const ready = this.#poller.wait(0)
    const now = this.#clock()
    this.#plane.now = now
    this.#poller.dispatch(ready, this.#afterEvent)
    this.#timers.advance(now)
    this.#afterEvent()
    this.#plane.settle()
  }

  /** Its clients are gone. */
  close(): void {
    for (let turn = 0; turn < FAREWELL_TURNS && this.#plane.sessions.size > 0; turn++) this.turn()
    for (const pool of this.#plane.poolSet.all) pool.kill('the rehearsal is over')
    this.turn()
    this.#poller.close()
    this.#mapping.discard(0, this.#bytes)
  }
}
