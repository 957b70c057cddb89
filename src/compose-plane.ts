import { randomBytes } from 'node:crypto'
import { fstatSync } from 'node:fs'
import { BufferArena } from './io/buffer-arena.ts'
import { FdChannel } from './io/fd-channel.ts'
import { SystemError } from './io/native.ts'
import { OwnedFd } from './io/owned-fd.ts'
import { PlainSends } from './io/plain-sends.ts'
import { type PlaneMemory, planeMemory } from './io/plane-memory.ts'
import { HANG_UP, Poller, READABLE } from './io/poller.ts'
import { ReadBuffers } from './io/read-buffers.ts'
import { SendBatch, type SendQueue } from './io/send-batch.ts'
import { SharedMapping } from './io/shared-memory.ts'
import { type Crash, Steps } from './io/steps.ts'
import { SubmissionRing } from './io/submission-ring.ts'
import type { PlaneEvent } from './memory/control-protocol.ts'
import { encodePlaneMessage, MAX_PACKET_BYTES } from './memory/keeper-protocol.ts'
import { tlsBytes, valueStoreBytes } from './memory/layout.ts'
import { PLANE } from './memory/plane-records.ts'
import { planesSocket } from './memory/run-directory.ts'
import { openSharedState, type SharedState } from './memory/shared-state.ts'
import { StepLog } from './memory/step-log.ts'
import { ValueStore } from './memory/value-store.ts'
import { Adoption, type AdoptionReport } from './plane/adoption.ts'
import { PlaneCommands } from './plane/commands.ts'
import { ControlLink, type ControlLinkOwner } from './plane/control-link.ts'
import { type Heap, IdleCollector } from './plane/idle-collector.ts'
import { type Introduction, KeeperLink } from './plane/keeper-link.ts'
import { KeeperSearch, type KeeperSearchHost } from './plane/keeper-search.ts'
import { NO_VALUES } from './plane/no-values.ts'
import { Plane } from './plane/plane.ts'
import { Reactor, type ReactorHooks } from './plane/reactor.ts'
import { rehearse } from './plane/rehearsal.ts'
import { restoreConnections } from './plane/restoration.ts'
import {
  type Predecessor,
  renewPlaneRecord,
  TakeOverReport,
  type TakeOverReportHost,
} from './plane/take-over-report.ts'
import type { PostgresParser } from './sql/postgres-parser.ts'
import { SecondOpinion } from './sql/second-opinion.ts'
import { monotonicMs } from './util/monotonic-clock.ts'
import { pseudoRandom } from './util/random.ts'
import { TimerWheel } from './util/timer-wheel.ts'

/** A start takes so much longer at most. */
const REHEARSAL_MS = 1500
/** By then V8 has compiled what queries run through. */
const REHEARSAL_REQUESTS = 10_000

export interface PlaneOptions {
  readonly planeIndex: number
  readonly generation: number
  /** SEQPACKET channel to the keeper. */
  readonly channelFd: number
  /** The shared memory, stamped by the keeper. */
  readonly memoryFd: number
  readonly runDirectory: string
  readonly architecture: string
  readonly pid: number
  /** Monotonic milliseconds, the same clock in every process of this machine. */
  readonly clock: () => number
  /** False: no io_uring, even where the kernel has it. */
  readonly useRing: boolean
  readonly heap: Heap
  /** PostgreSQL's; null: there is none, and statements in doubt pin. */
  readonly parser: PostgresParser | null
  /** In tests. */
  readonly crash: Crash | null
  /** Whether it rehearses before it serves: see `rehearse`. */
  readonly rehearses: boolean
  /** It is not on standby any more. */
  readonly onActive: () => void
  /** Held open for as long as a plane lives. */
  readonly lockFd: number
  /** Nobody has started a keeper in place of the one that died. */
  readonly restartKeeper: () => void
}

interface MappedMemory extends PlaneMemory {
  readonly shared: SharedState
  readonly arena: BufferArena
  readonly keysAreLocked: boolean
}

/**
 * A plane process from start to end. Order: map memory, then wait, as a standby, until the keeper says that it is this
 * process's turn; build the tables, take over what the predecessor had, dial control; ready for clients once control has
 * sent values. Ends when the keeper goes, or it or control says so; returns the exit code.
 */
export function runPlane(options: PlaneOptions): number {
  const memory = mapMemory(options)
  const ring = openRing(options.useRing)
  const poller = new Poller(options.architecture)
  const channelFd = new OwnedFd(options.channelFd)
  const channel = new FdChannel(channelFd)
  if (options.rehearses) prepare(options, poller, channelFd, ring)
  // Not least, the parser's memory becomes old: as long as it is young, each collection may take four times as long.
  options.heap.collect()
  if (!awaitTurn(poller, channelFd, channel)) return 0
  options.onActive()
  serve(options, { memory, ring, poller, channelFd, channel })
  return 0
}

interface PlaneResources {
  readonly memory: MappedMemory
  readonly ring: PlaneRing
  readonly poller: Poller
  readonly channelFd: OwnedFd
  readonly channel: FdChannel
}

/** Rehearses; as long as nobody waits for it, or, when there has been no plane before it, to the end. */
function prepare(options: PlaneOptions, poller: Poller, channel: OwnedFd, { queue }: PlaneRing): void {
  const { architecture, clock, runDirectory, pid, generation } = options
  const key = poller.add(channel, READABLE, { onReady: () => {} })
  try {
    rehearse({
      ...{ architecture, clock, queue },
      socketPath: `${runDirectory}/warm-${pid}.sock`,
      mostMs: REHEARSAL_MS,
      mostRequests: REHEARSAL_REQUESTS,
      isOver: () => generation > 1 && poller.wait(0) > 0,
    })
  } catch (error) {
    // It serves without: slower for some seconds.
    if (!(error instanceof Error)) throw error
  }
  poller.remove(key, channel)
}

/**
 * Says that this process is there, and sleeps until the keeper says anything, which is left for `KeeperLink` to read. False
 * when the keeper is gone instead. Nothing is written to the shared memory until then: it is another process's.
 */
function awaitTurn(poller: Poller, fd: OwnedFd, channel: FdChannel): boolean {
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  channel.send(packet, encodePlaneMessage({ op: 'standby' }, packet), [])
  let events = 0
  const key = poller.add(fd, READABLE, {
    onReady: (told) => {
      events = told
    },
  })
  while (events === 0) poller.dispatch(poller.wait(-1))
  poller.remove(key, fd)
  return (events & HANG_UP) === 0
}

/** The plane as the active one, to its end. */
function serve(options: PlaneOptions, { memory, ring, poller, channelFd, channel }: PlaneResources): void {
  const { planeIndex, clock } = options
  const { shared, arena } = memory
  const log = new StepLog(memory.stepLog)
  const steps = new Steps(log, arena, options.crash)
  const sends = new SendBatch(ring.queue, steps, memory.own)
  const reads = new ReadBuffers(memory.reads, sends, steps)
  const timers = new TimerWheel(clock())
  const plane: Plane = new Plane({
    planeIndex,
    shared,
    ...{ poller, timers, arena, reads, sends, steps },
    gathers: memory,
    store: new ValueStore(memory.values),
    values: NO_VALUES,
    clock: monotonicMs,
    random: pseudoRandom(randomBytes(4).readInt32LE()),
    opinion: options.parser === null ? null : new SecondOpinion(options.parser, clock),
    randomBytes,
    tell: (event) => {
      control.send(event)
      return control.connected
    },
    gone: (client) => keeper.gone(client),
    keep: (server, fd) => keeper.keep(server, fd),
    drop: (server) => keeper.drop(server),
  })
  const inProgress = plane.progress[0] ?? 0
  const predecessor = introduce(plane, shared, options)
  const keeper: KeeperLink = new KeeperLink(poller, channel, channelFd, {
    onNewClient: (client, fd) => plane.accept(client, fd),
    onKeptClient: (client, fd) => adoption.addClient(client, fd),
    onKeptServer: (server, fd) => adoption.addServer(server, fd),
    onServe: () => {
      report = adoption.complete()
      // Not before: the slots that control's values would fill may be the predecessor's until now.
      control.dial()
    },
    onRelease: () => reactor.stop(),
    onKeeperGone: () => {
      // Of a hand-over that was not complete nobody knows what it would have brought.
      if (report === null) reactor.stop()
      else search.start()
    },
    clients: () => plane.openClients(),
  })
  const search = new KeeperSearch(searchHost(plane, options, (found) => keeper.attach(found, introductionOf(options))))
  const adoption = new Adoption(plane, keeper, { log, reads: memory.reads, inProgress })
  const takeOver = new TakeOverReport(reportHost(plane, shared, (event) => control.send(event)))
  let report: AdoptionReport | null = null
  const control: ControlLink = dialControl(plane, options, {
    ready: () => {
      plane.log('info', `sends leave ${ring.description}`, { plane: planeIndex })
      if (!memory.keysAreLocked && plane.clientTls.context?.logsKeys) plane.log('warn', KEYS_NOT_LOCKED, {})
      restoreConnections(plane, adoption.takeAdopted())
      plane.now = clock()
      if (predecessor !== null && report !== null) takeOver.send(predecessor, report.outcomes)
      keeper.ready()
    },
    exit: () => reactor.stop(),
  })
  const reactor: Reactor = new Reactor(
    poller,
    timers,
    clock,
    planeHooks(plane, keeper, new IdleCollector(options.heap)),
  )
  reactor.run()
}

function introductionOf({ planeIndex, generation, pid, memoryFd, lockFd }: PlaneOptions): Introduction {
  return { adoptee: { plane: planeIndex, generation, pid }, fds: [memoryFd, lockFd] }
}

function searchHost(plane: Plane, options: PlaneOptions, found: (channel: OwnedFd) => void): KeeperSearchHost {
  return {
    get now() {
      return plane.now
    },
    timers: plane.timers,
    dial() {
      try {
        return FdChannel.dial(planesSocket(options.runDirectory))
      } catch (error) {
        if (!(error instanceof SystemError)) throw error
        return null
      }
    },
    found,
    help: options.restartKeeper,
  }
}

function reportHost(plane: Plane, { planes }: SharedState, tell: (event: PlaneEvent) => void): TakeOverReportHost {
  return {
    get now() {
      return plane.now
    },
    timers: plane.timers,
    planes,
    planeIndex: plane.planeIndex,
    tell,
  }
}

interface PlaneRing {
  readonly queue: SendQueue
  /** How sends leave. */
  readonly description: string
}

/** The ring if there can be one. */
function openRing(wanted: boolean): PlaneRing {
  const alone = 'one by one'
  if (!wanted) return { queue: new PlainSends(), description: `${alone} (io_uring is switched off)` }
  try {
    return { queue: SubmissionRing.open(), description: 'in batches (io_uring)' }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return { queue: new PlainSends(), description: `${alone} (${error.message})` }
  }
}

function mapMemory({ memoryFd, planeIndex }: PlaneOptions): MappedMemory {
  const fd = new OwnedFd(memoryFd)
  const mapping = new SharedMapping(fd, fstatSync(fd.fd).size)
  const shared = openSharedState(mapping.memory)
  mapping.hideFromDumps(shared.regions.clientTls, tlsBytes(shared.regions))
  const { arenaBytesPerPlane } = shared.geometry
  const start = shared.regions.arenas + planeIndex * arenaBytesPerPlane
  const memory = planeMemory(mapping, start, arenaBytesPerPlane, valueStoreBytes(arenaBytesPerPlane))
  const { buffers, buffersAt } = memory
  const arena = new BufferArena(buffers, (offset, bytes) => mapping.discard(buffersAt + offset, bytes))
  const keysAreLocked = mapping.lock(shared.regions.clientTls, tlsBytes(shared.regions))
  return { ...memory, shared, arena, keysAreLocked }
}

const KEYS_NOT_LOCKED =
  'the keys of TLS connections may be swapped to disk, because this process may not lock memory: raise its limit ' +
  '(LimitMEMLOCK, ulimit -l), or set client_tls.on_upgrade = "disconnect"'

/** Says in the shared memory who this is; returns whom it follows. */
function introduce(
  plane: Plane,
  { planes }: SharedState,
  { planeIndex, pid, generation, clock }: PlaneOptions,
): Predecessor | null {
  const record = planeIndex * (planes.recordBytes >> 2)
  const predecessor = renewPlaneRecord(planes, planeIndex)
  planes.i32[record + PLANE.pid] = pid
  planes.i32[record + PLANE.generation] = generation
  plane.now = clock()
  plane.record.set('startedAt', plane.now)
  return predecessor
}

/** `ready` is called once, when there are values to serve clients by. */
function dialControl(plane: Plane, options: PlaneOptions, hooks: { ready(): void; exit(): void }): ControlLink {
  let isReady = false
  const commands = new PlaneCommands(plane, (event) => control.send(event), hooks.exit)
  const owner: ControlLinkOwner = {
    get now() {
      return plane.now
    },
    timers: plane.timers,
    hello: () => ({
      op: 'hello',
      plane: options.planeIndex,
      pid: options.pid,
      valuesVersion: plane.values.version,
      topologyVersion: plane.values.topology.version,
    }),
    onCommand: (command) => {
      commands.run(command)
      if (isReady || plane.values.version === NO_VALUES.version) return
      isReady = true
      hooks.ready()
    },
    onEventDropped: () => plane.record.add('eventsDropped'),
    onLost: () => plane.accounts.forget(),
  }
  const control = new ControlLink(plane, owner, `${options.runDirectory}/control.sock`)
  return control
}

function planeHooks(plane: Plane, keeper: KeeperLink, collector: IdleCollector): ReactorHooks {
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
      plane.record.set('heapBytes', collector.tick(turns, plane.record.get('clientsClosed')))
      plane.maintain()
    },
    fault: (error) => {
      plane.countPlane('internalErrors')
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
      plane.log('error', 'internal error outside of a connection', { reason })
    },
  }
}
