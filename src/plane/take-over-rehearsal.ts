import { rmSync } from 'node:fs'
import { BufferArena } from '../io/buffer-arena.ts'
import { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { planeMemory } from '../io/plane-memory.ts'
import { Poller } from '../io/poller.ts'
import type { SendQueue } from '../io/send-batch.ts'
import { createMemoryFile, SharedMapping } from '../io/shared-memory.ts'
import { openSocketPair } from '../io/socket.ts'
import { MAX_PACKET_BYTES } from '../memory/keeper-protocol.ts'
import { type Geometry, regionsOf, valueStoreBytes } from '../memory/layout.ts'
import { formatSharedState } from '../memory/shared-state.ts'
import { ValueStore } from '../memory/value-store.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import { ActivePlane, type MappedMemory } from './active-plane.ts'
import { AheadClients } from './ahead-clients.ts'
import { NO_VALUES } from './no-values.ts'
import { Reactor } from './reactor.ts'
import { RehearsalKeeper } from './rehearsal-keeper.ts'
import { RehearsalShard } from './rehearsal-shard.ts'
import { rehearsalValues } from './rehearsal-values.ts'
import { type Line, RehearsedClient } from './rehearsed-client.ts'
import { takeAhead } from './standby.ts'

const CLIENTS = 80
const SERVERS = 8
const SIZE = { clients: CLIENTS, servers: SERVERS, preparedStatements: 100 }
/** Planes that follow one another. */
const PLANES = 8
/** It is no use to anybody for longer than this. */
const MOST_MS = 2000
const MOST_TURNS = 200
const GEOMETRY: Geometry = {
  clientSlots: CLIENTS + 16,
  ordinaryClientSlots: CLIENTS + 8,
  serverSlots: 2 * SERVERS,
  poolRecords: 8,
  planes: 1,
  arenaBytesPerPlane: 8 * 1024 * 1024,
}

export interface TakeOverRehearsalParts {
  readonly architecture: string
  readonly queue: SendQueue
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** Where a Unix socket may be for as long as it lasts. */
  readonly socketPath: string
  /** What the plane that works has been told; null: not known. */
  readonly example: PlaneValues | null
  /** The real thing begins: what is rehearsed does not matter any more. */
  isOver(): boolean
}

export interface TakeOverRehearsalResult {
  /** How many planes have followed one another. */
  readonly planes: number
  /** What went wrong; null: nothing. */
  readonly failure: string | null
}

/** Nobody needs to wait for the end of it. */
class Interrupted extends Error {}

/**
 * A process on standby plays what it waits for, in memory of its own: planes that log clients in, relay, end, and take over from
 * one another, with a keeper, a shard and clients that are acted. Only so is the code of a take-over compiled when its
 * time comes; code that runs for the first time takes ten times as long, and all clients wait for it.
 */
export class TakeOverRehearsal {
  readonly #parts: TakeOverRehearsalParts
  readonly #mapping: SharedMapping
  readonly #memory: MappedMemory
  readonly #shard: RehearsalShard
  readonly #keeper = new RehearsalKeeper()
  readonly #clients: readonly RehearsedClient[]
  readonly #routerEnds: readonly OwnedFd[]
  readonly #values: PlaneValues
  readonly #deadline: number
  #isShardSlow = false
  #reactor: Reactor | null = null

  private constructor(parts: TakeOverRehearsalParts) {
    this.#parts = parts
    this.#deadline = parts.clock() + MOST_MS
    const { totalBytes, arenas } = regionsOf(GEOMETRY)
    const file = createMemoryFile('rehearsal', totalBytes)
    this.#mapping = new SharedMapping(file, totalBytes)
    file.close()
    this.#memory = this.#memoryAt(arenas)
    const pairs = Array.from({ length: CLIENTS }, () => openSocketPair())
    this.#clients = pairs.map(([ours]) => new RehearsedClient(ours))
    this.#routerEnds = pairs.map(([, theirs]) => theirs)
    this.#shard = new RehearsalShard(parts.socketPath)
    this.#values = rehearsalValues(this.#shard.value, SIZE, {}, parts.example)
  }

  /** As far as it gets. Never throws: what goes wrong here was only an exercise. */
  static run(parts: TakeOverRehearsalParts): TakeOverRehearsalResult {
    let rehearsal: TakeOverRehearsal | null = null
    let planes = 0
    let failure: string | null = null
    if (parts.isOver()) return { planes, failure }
    try {
      rmSync(parts.socketPath, { force: true })
      rehearsal = new TakeOverRehearsal(parts)
      // As after a crash, and as at an upgrade.
      for (; planes < PLANES; planes++) rehearsal.#act(planes === 0, planes % 2 === 0)
    } catch (error) {
      if (!(error instanceof Interrupted))
        failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
    if (rehearsal !== null) rehearsal.#close()
    rmSync(parts.socketPath, { force: true })
    return { planes, failure }
  }

  #memoryAt(arenas: number): MappedMemory {
    const { arenaBytesPerPlane } = GEOMETRY
    const shared = formatSharedState(this.#mapping.memory, GEOMETRY, 0)
    const memory = planeMemory(this.#mapping, arenas, arenaBytesPerPlane, valueStoreBytes(arenaBytesPerPlane))
    const { buffers, buffersAt } = memory
    const arena = new BufferArena(buffers, (offset, bytes) => this.#mapping.discard(buffersAt + offset, bytes))
    return { ...memory, shared, arena }
  }

  /** The life of one plane. */
  #act(isFirst: boolean, takesAhead: boolean): void {
    const poller = new Poller(this.#parts.architecture)
    const active = this.#boot(poller, takesAhead)
    for (const client of this.#clients) client.enter(poller)
    try {
      this.#keeper.handOver()
      if (isFirst) {
        this.#keeper.announce(this.#routerEnds)
        this.#everybody('startup')
      }
      this.#isShardSlow = false
      this.#answered()
      for (const line of ['simple', 'unnamed', 'prepare', 'prepared', 'simple'] as const) {
        if (line === 'prepare' && !isFirst) continue
        this.#everybody(line)
        this.#answered()
      }
      this.#leaveInTheMiddle()
    } finally {
      for (const { fd } of active.plane.sessions.open()) fd.close()
      for (const pool of active.plane.poolSet.all) for (const { link } of pool.servers) link.fd.close()
      poller.close()
    }
  }

  #boot(poller: Poller, takesAhead: boolean): ActivePlane {
    const channelFd = this.#keeper.engage()
    const channel = new FdChannel(channelFd, MAX_PACKET_BYTES)
    const ahead = new AheadClients(poller, this.#memory.shared.clients)
    if (takesAhead) {
      this.#keeper.sendAhead()
      takeAhead(channel, ahead)
    }
    const { clock, queue } = this.#parts
    const chance = { random: () => 0.5, randomBytes: (count: number) => Buffer.alloc(count, 7) }
    const nobody = { opinion: null, crash: null }
    const active: ActivePlane = new ActivePlane(
      {
        planeIndex: 0,
        memory: this.#memory,
        store: new ValueStore(this.#memory.values),
        ...{ channel, ahead, queue, poller, channelFd, clock, ...chance, ...nobody },
      },
      {
        tell: () => false,
        // The others know it from the first one.
        adopted: () => {
          if (active.plane.values.version === NO_VALUES.version) active.obey({ op: 'values', values: this.#values })
        },
        serves: () => {},
        exit: () => {},
        released: () => {},
        keeperGone: () => {},
      },
    )
    this.#reactor = new Reactor(
      poller,
      active.timers,
      clock,
      active.hooks(() => 0),
    )
    return active
  }

  /** Some clients have asked, some are in a transaction, and some wait, when the plane ends. */
  #leaveInTheMiddle(): void {
    for (const client of this.#clients.slice(0, 2)) client.say('begin')
    this.#answered()
    this.#isShardSlow = true
    for (const client of this.#clients.slice(0, 2)) client.say('commit')
    for (const client of this.#clients.slice(2, SERVERS + 4)) client.say('simple')
    for (let turns = 0; turns < 3; turns++) this.#turn()
    for (const client of this.#clients.slice(SERVERS + 4, 2 * SERVERS)) client.say('simple')
  }

  #everybody(line: Line): void {
    for (const client of this.#clients) client.say(line)
  }

  #answered(): void {
    for (let turns = 0; this.#clients.some(({ owed }) => owed > 0); turns++) {
      if (turns > MOST_TURNS) throw new Error('a rehearsal does not get on')
      this.#turn()
    }
  }

  #turn(): void {
    if (this.#parts.isOver() || this.#parts.clock() > this.#deadline) throw new Interrupted()
    this.#reactor?.turn(0)
    if (!this.#isShardSlow) this.#shard.turn()
    this.#keeper.listen()
  }

  #close(): void {
    this.#keeper.close()
    this.#shard.close()
    for (const { fd } of this.#clients) fd.close()
    // Mapped for as long as this process lives; its pages are not.
    this.#mapping.discard(0, regionsOf(GEOMETRY).totalBytes)
  }
}
