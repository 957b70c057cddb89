import type { BufferArena } from '../io/buffer-arena.ts'
import type { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { PlaneMemory } from '../io/plane-memory.ts'
import type { Poller } from '../io/poller.ts'
import { ReadAhead } from '../io/read-ahead.ts'
import { ReadBuffers } from '../io/read-buffers.ts'
import { SendBatch, type SendQueue } from '../io/send-batch.ts'
import { type Crash, Steps } from '../io/steps.ts'
import type { PlaneCommand, PlaneEvent } from '../memory/control-protocol.ts'
import type { SharedState } from '../memory/shared-state.ts'
import { StepLog } from '../memory/step-log.ts'
import type { ValueStore } from '../memory/value-store.ts'
import type { SecondOpinion } from '../sql/second-opinion.ts'
import { monotonicMs } from '../util/monotonic-clock.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import type { AdoptionReport } from './adopted.ts'
import { Adoption } from './adoption.ts'
import type { AheadClients } from './ahead-clients.ts'
import { PlaneCommands } from './commands.ts'
import { KeeperLink, type KeeperLinkOwner } from './keeper-link.ts'
import { KeptOrders } from './kept-orders.ts'
import { NO_VALUES } from './no-values.ts'
import { Plane } from './plane.ts'
import { PlaneUpkeep } from './plane-upkeep.ts'
import type { ReactorHooks } from './reactor.ts'
import { restoreConnections } from './restoration.ts'
import { ValueSweep } from './value-sweep.ts'

/** Orders that count for a successor as well. */
const LASTING: ReadonlySet<PlaneCommand['op']> = new Set([
  'values',
  'topology',
  'pause',
  'resume',
  'kill',
  'hold',
  'release',
  'holds',
])

/** What a plane has of the shared memory. */
export interface MappedMemory extends PlaneMemory {
  readonly shared: SharedState
  readonly arena: BufferArena
}

export interface ActivePlaneParts {
  readonly planeIndex: number
  readonly memory: MappedMemory
  /** Of `memory.values`; what was there when the process booted may be known. */
  readonly store: ValueStore
  readonly queue: SendQueue
  readonly poller: Poller
  /** To the keeper, which speaks next. */
  readonly channel: FdChannel
  readonly channelFd: OwnedFd
  /** Whom the keeper has given this process before its turn. */
  readonly ahead: AheadClients
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly random: () => number
  randomBytes(count: number): Buffer
  readonly opinion: SecondOpinion | null
  /** In tests. */
  readonly crash: Crash | null
}

/** Whom a plane needs around it. */
export interface ActivePlaneHooks {
  /** Says it to control, if that listens. */
  tell(event: PlaneEvent): boolean
  /** Everything of the predecessor is looked at: control may be heard. */
  adopted(): void
  /** Those who were taken over go on from now on. */
  serves(): void
  /** Control wants it to end. */
  exit(): void
  /** This process is to end after this wake-up. */
  released(): void
  /** The keeper is dead. `isWhole`: all of the predecessor had come. */
  keeperGone(isWhole: boolean): void
}

/**
 * A plane whose turn it is, between its keeper and its reactor: takes over what its predecessor left, begins to serve when it
 * has values to serve by, and ends each wake-up in order.
 */
export class ActivePlane {
  readonly plane: Plane
  readonly keeper: KeeperLink
  readonly timers: TimerWheel
  readonly #clock: () => number
  readonly #adoption: Adoption
  readonly #kept: KeptOrders
  readonly #commands: PlaneCommands
  readonly #sweep: ValueSweep
  readonly #serves: () => void
  #isServing = false
  #report: AdoptionReport | null = null

  constructor(parts: ActivePlaneParts, hooks: ActivePlaneHooks) {
    const { memory, queue, poller, clock, crash } = parts
    const { shared, arena } = memory
    parts.store.catchUp()
    this.#kept = new KeptOrders(arena, shared.planes, parts.planeIndex)
    const log = new StepLog(memory.stepLog)
    const steps = new Steps(log, arena, crash)
    const sends = new SendBatch(queue, steps, memory.own)
    const reads = new ReadBuffers(memory.reads, sends, steps)
    const readAhead = new ReadAhead(queue.receives, reads, sends, steps)
    poller.ahead = readAhead
    this.#clock = clock
    this.timers = new TimerWheel(clock())
    this.plane = new Plane({
      planeIndex: parts.planeIndex,
      shared,
      ...{ poller, timers: this.timers, arena, reads, readAhead, sends, steps },
      gathers: memory,
      store: parts.store,
      values: NO_VALUES,
      clock: monotonicMs,
      random: parts.random,
      opinion: parts.opinion,
      randomBytes: (count) => parts.randomBytes(count),
      tell: (event) => hooks.tell(event),
      gone: (client) => this.keeper.gone(client),
      keep: (server, fd) => this.keeper.keep(server, fd),
      drop: (server) => this.keeper.drop(server),
    })
    this.#sweep = new ValueSweep(this.plane, parts.planeIndex, log, (message, fields) =>
      this.plane.log('warn', message, fields),
    )
    this.plane.now = clock()
    const inProgress = this.plane.progress[0] ?? 0
    this.keeper = new KeeperLink(poller, parts.channel, parts.channelFd, this.#keeperOwner(parts.ahead, hooks))
    this.#adoption = new Adoption(this.plane, this.keeper, {
      ...{ log, inProgress, reads: memory.reads },
      keptHandle: this.#kept.handle,
    })
    this.#commands = new PlaneCommands(
      this.plane,
      (event) => void hooks.tell(event),
      () => hooks.exit(),
    )
    this.#serves = () => hooks.serves()
  }

  /** What the keeper's messages are for. */
  #keeperOwner(ahead: AheadClients, hooks: ActivePlaneHooks): KeeperLinkOwner {
    return {
      onNewClient: (client, fd) => this.plane.accept(client, fd),
      onKeptClient: (client, fd) => this.#adoption.addClient(client, fd, -1),
      onEnded: (client) => ahead.end(client),
      onKeptServer: (server, fd) => this.#adoption.addServer(server, fd),
      onServe: () => {
        for (const { slot, generation, fd, key } of ahead.takeAll())
          this.#adoption.addClient({ slot, generation }, fd, key)
        this.#report = this.#adoption.complete()
        this.#hearOrders()
        hooks.adopted()
        this.#serveIfPossible()
      },
      onRelease: () => hooks.released(),
      onKeeperGone: () => hooks.keeperGone(this.#report !== null),
      clients: () => this.plane.sessions.open(),
    }
  }

  /** Control has said this. */
  obey(command: PlaneCommand): void {
    this.#commands.run(command)
    if (LASTING.has(command.op)) this.#kept.put({ values: this.plane.values, ...this.plane.poolSet.stopped })
    this.#serveIfPossible()
  }

  /** What became of the predecessor's connections; null as long as not all are there. */
  get report(): AdoptionReport | null {
    return this.#report
  }

  /** Control is not needed for what it has said before. */
  #hearOrders(): void {
    try {
      const orders = this.#kept.take()
      if (orders === null) return
      this.plane.setValues(orders.values)
      for (const shard of orders.held) this.plane.poolSet.hold(shard)
      for (const database of orders.paused) this.plane.poolSet.pause(database)
    } catch (error) {
      this.plane.log('warn', 'what control has said to the process before this one is of no use', {
        reason: String(error),
      })
    }
  }

  /** As soon as there are values: those who were taken over go on, and new clients may come. */
  #serveIfPossible(): void {
    if (this.#isServing || this.plane.values.version === NO_VALUES.version) return
    this.#isServing = true
    restoreConnections(this.plane, this.#adoption.takeAdopted())
    this.plane.now = this.#clock()
    this.#serves()
    this.keeper.ready()
  }

  /** What a reactor does for it. `heapBytes`: the size of the heap, asked once a second, with the wake-ups and clients closed so far. */
  hooks(heapBytes: (turns: number, closed: number) => number): ReactorHooks {
    const { plane, keeper } = this
    const upkeep = new PlaneUpkeep(plane)
    let turns = 0
    return {
      wake: (now) => {
        plane.now = now
      },
      afterEvent: () => {
        plane.deferred.run()
        plane.progress[0] = 0
        if (plane.isCrowded) plane.settle()
      },
      settle: () => {
        turns++
        plane.settle()
        keeper.flush()
      },
      tick: (now) => {
        plane.record.set('turnedAt', now)
        plane.record.set('turns', turns)
        plane.record.set('heapBytes', heapBytes(turns, plane.record.get('clientsClosed')))
        upkeep.run()
        if (!this.#sweep.isDue(now)) return
        // A successor would have to ask for what is committed.
        plane.settle()
        this.#sweep.run(now)
      },
      fault: (error) => {
        plane.countPlane('internalErrors')
        const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
        plane.log('error', 'internal error outside of a connection', { reason })
      },
    }
  }
}
