import { randomBytes } from 'node:crypto'
import { FdChannel } from './io/fd-channel.ts'
import { SystemError } from './io/native.ts'
import { OwnedFd } from './io/owned-fd.ts'
import { Poller } from './io/poller.ts'
import type { Crash } from './io/steps.ts'
import { LOST_KIND, PLANE } from './memory/plane-records.ts'
import { planesSocket } from './memory/run-directory.ts'
import type { SharedState } from './memory/shared-state.ts'
import { ValueStore } from './memory/value-store.ts'
import { ActivePlane } from './plane/active-plane.ts'
import { AheadClients } from './plane/ahead-clients.ts'
import { ControlLink, type ControlLinkOwner } from './plane/control-link.ts'
import { IdleCollector } from './plane/idle-collector.ts'
import type { Introduction } from './plane/keeper-link.ts'
import { KeeperSearch, type KeeperSearchHost } from './plane/keeper-search.ts'
import { NO_VALUES } from './plane/no-values.ts'
import type { Plane } from './plane/plane.ts'
import { type LockedMemory, mapPlaneMemory, openRing, type PlaneRing } from './plane/plane-resources.ts'
import { type PreparationOptions, prepare } from './plane/preparation.ts'
import { Reactor } from './plane/reactor.ts'
import { awaitInstructions, awaitTurn } from './plane/standby.ts'
import {
  type Predecessor,
  renewPlaneRecord,
  TakeOverReport,
  type TakeOverReportHost,
} from './plane/take-over-report.ts'
import type { PostgresParser } from './sql/postgres-parser.ts'
import { SecondOpinion } from './sql/second-opinion.ts'
import { pseudoRandom } from './util/random.ts'

/** What control has to say to a plane that has its predecessor's orders is nothing new; by then those who waited are served. */
const DIAL_LATER_MS = 50
const FIRST_TICK_MS = 100

export interface PlaneOptions extends PreparationOptions {
  /** SEQPACKET channel to the keeper. */
  readonly channelFd: number
  /** The shared memory, stamped by the keeper. */
  readonly memoryFd: number
  /** False: no io_uring, even where the kernel has it. */
  readonly useRing: boolean
  /** PostgreSQL's; null: there is none, and statements in doubt pin. */
  readonly parser: PostgresParser | null
  /** In tests. */
  readonly crash: Crash | null
  /** It is not on standby any more. */
  readonly onActive: () => void
  /** Another process goes on, and this one has let go of everything: it need not hurry to end. */
  readonly onReplaced: () => void
  /** Held open for as long as a plane lives. */
  readonly lockFd: number
  /** Nobody has started a keeper in place of the one that died. */
  readonly restartKeeper: () => void
}

/**
 * A plane process from start to end. Order: map memory, rehearse, then wait, as a standby, until the keeper says that it is this
 * process's turn; build the tables, take over what the predecessor had, dial control; ready for clients once control has
 * sent values. Ends when the keeper goes, or it or control says so; returns the exit code.
 */
export function runPlane(options: PlaneOptions): number {
  const memory = mapPlaneMemory(options.memoryFd, options.planeIndex)
  const ring = openRing(options.useRing)
  const poller = new Poller(options.architecture)
  const channelFd = new OwnedFd(options.channelFd)
  const channel = new FdChannel(channelFd)
  const failure = prepare(options, poller, channelFd, ring.queue, memory)
  // Whatever is there by now does not have to be looked at when its turn comes.
  const store = new ValueStore(memory.values)
  const ahead = new AheadClients(poller, memory.shared.clients)
  if (!awaitTurn(options.architecture, channelFd, channel, ahead)) return 0
  options.onActive()
  serve(options, { memory, ring, poller, channelFd, channel, failure, store, ahead })
  return 0
}

interface PlaneResources {
  readonly memory: LockedMemory
  readonly ring: PlaneRing
  readonly poller: Poller
  readonly channelFd: OwnedFd
  readonly channel: FdChannel
  readonly store: ValueStore
  readonly ahead: AheadClients
  /** Of a rehearsal; null: none. */
  readonly failure: string | null
}

/** The plane as the active one, to its end. */
function serve(options: PlaneOptions, resources: PlaneResources): void {
  const { memory, ring, poller, channelFd, channel, failure, store, ahead } = resources
  const { planeIndex, clock } = options
  const { shared } = memory
  let isReplaced = false
  const active: ActivePlane = new ActivePlane(
    {
      ...{
        planeIndex,
        memory,
        store,
        queue: ring.queue,
        poller,
        channel,
        channelFd,
        ahead,
        clock,
        randomBytes,
        crash: options.crash,
      },
      random: pseudoRandom(randomBytes(4).readInt32LE()),
      opinion: options.parser === null ? null : new SecondOpinion(options.parser, clock),
    },
    {
      tell: (event) => {
        control.send(event)
        return control.connected
      },
      serves: () => {
        plane.log('info', `sends leave ${ring.description}`, { plane: planeIndex })
        if (failure !== null) plane.log('warn', 'a rehearsal went wrong', { reason: failure })
        if (!memory.keysAreLocked && plane.clientTls.context?.logsKeys) plane.log('warn', KEYS_NOT_LOCKED, {})
        if (predecessor !== null && active.report !== null) takeOver.send(predecessor, active.report.outcomes)
      },
      exit: () => reactor.stop(),
      // Not before: the slots that control's values would fill may be the predecessor's until now.
      adopted: () => {
        if (plane.values.version === NO_VALUES.version) control.dial()
        else control.dialIn(DIAL_LATER_MS)
      },
      released: () => {
        isReplaced = lostKindOf(shared, planeIndex) === LOST_KIND.released
        reactor.stop()
      },
      keeperGone: (isWhole) => {
        // Of a hand-over that was not complete nobody knows what it would have brought.
        if (isWhole) search.start()
        else reactor.stop()
      },
    },
  )
  const { plane, keeper } = active
  const predecessor = introduce(plane, shared, options)
  const search = new KeeperSearch(searchHost(plane, options, (found) => keeper.attach(found, introductionOf(options))))
  const takeOver = new TakeOverReport(reportHost(plane, shared, () => control))
  const control = controlOf(active, options)
  const collector = new IdleCollector(options.heap)
  const hooks = active.hooks((turns, closed) => collector.tick(turns, closed))
  const reactor: Reactor = new Reactor(poller, active.timers, clock, hooks)
  awaitInstructions(options.architecture, channelFd, keeper)
  if (predecessor !== null) {
    reactor.putTickOff(FIRST_TICK_MS)
    // That it is ready.
    hooks.settle()
  }
  reactor.run()
  keeper.released()
  if (isReplaced) options.onReplaced()
}

/** Why the keeper lets the plane go; 0: the router ends. */
function lostKindOf({ planes }: SharedState, planeIndex: number): number {
  return planes.i32[planeIndex * (planes.recordBytes >> 2) + PLANE.lostKind] ?? 0
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

function reportHost(plane: Plane, { planes }: SharedState, control: () => ControlLink): TakeOverReportHost {
  return {
    get now() {
      return plane.now
    },
    timers: plane.timers,
    planes,
    planeIndex: plane.planeIndex,
    get isHeard() {
      return control().connected
    },
    tell: (event) => control().send(event),
  }
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

function controlOf(active: ActivePlane, options: PlaneOptions): ControlLink {
  const { plane, timers } = active
  const owner: ControlLinkOwner = {
    get now() {
      return plane.now
    },
    timers,
    hello: () => ({
      op: 'hello',
      plane: options.planeIndex,
      pid: options.pid,
      valuesVersion: plane.values.version,
      topologyVersion: plane.values.topology.version,
      model: plane.analyzer.modelHash,
    }),
    onCommand: (command) => active.obey(command),
    onEventDropped: () => plane.record.add('eventsDropped'),
    onLost: () => plane.accounts.forget(),
  }
  return new ControlLink(plane, owner, `${options.runDirectory}/control.sock`)
}
