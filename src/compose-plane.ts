import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync } from 'node:fs'
import { BufferArena } from './io/buffer-arena.ts'
import { FdChannel } from './io/fd-channel.ts'
import { READ_BYTES, READ_HEADROOM } from './io/link.ts'
import type { NativeBuffer } from './io/native.ts'
import { OwnedFd } from './io/owned-fd.ts'
import { Poller } from './io/poller.ts'
import { SharedMapping } from './io/shared-memory.ts'
import { PLANE } from './memory/plane-records.ts'
import { openSharedState, type SharedState } from './memory/shared-state.ts'
import { PlaneCommands } from './plane/commands.ts'
import { ControlLink, type ControlLinkOwner } from './plane/control-link.ts'
import { type Heap, IdleCollector } from './plane/idle-collector.ts'
import { KeeperLink } from './plane/keeper-link.ts'
import { NO_VALUES } from './plane/no-values.ts'
import { Plane } from './plane/plane.ts'
import { Reactor, type ReactorHooks } from './plane/reactor.ts'
import { TimerWheel } from './util/timer-wheel.ts'

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
  readonly heap: Heap
}

interface PlaneMemory {
  readonly shared: SharedState
  /** Where every read of the plane lands: the first pages of its part of the memory. */
  readonly inbound: NativeBuffer
  readonly arena: BufferArena
}

/**
 * A plane process from start to end. Order: map memory, build the tables, watch the keeper's channel, dial control; ready
 * for clients once control has sent values. Ends when the keeper goes or control says so; returns the exit code.
 */
export function runPlane(options: PlaneOptions): number {
  const { planeIndex, clock } = options
  const { shared, inbound, arena } = mapMemory(options)
  const poller = new Poller(options.architecture)
  const timers = new TimerWheel(clock())
  const plane: Plane = new Plane({
    planeIndex,
    shared,
    poller,
    timers,
    arena,
    inbound,
    values: NO_VALUES,
    randomBytes,
    tell: (event) => {
      control.send(event)
      return control.connected
    },
    gone: (client) => keeper.gone(client),
    keep: (server, fd) => keeper.keep(server, fd),
    drop: (server) => keeper.drop(server),
  })
  introduce(plane, shared, options)
  const channelFd = new OwnedFd(options.channelFd)
  const keeper = new KeeperLink(poller, new FdChannel(channelFd), channelFd, {
    onNewClient: (client, fd) => plane.accept(client, fd),
    onKeeperGone: () => reactor.stop(),
  })
  const control: ControlLink = dialControl(plane, options, {
    ready: () => keeper.ready(),
    exit: () => reactor.stop(),
  })
  const reactor: Reactor = new Reactor(
    poller,
    timers,
    clock,
    planeHooks(plane, keeper, new IdleCollector(options.heap)),
  )
  control.dial()
  reactor.run()
  return 0
}

function mapMemory({ memoryFd, planeIndex }: PlaneOptions): PlaneMemory {
  const fd = new OwnedFd(memoryFd)
  const mapping = new SharedMapping(fd, fstatSync(fd.fd).size)
  closeSync(fd.take())
  const shared = openSharedState(mapping.memory)
  const inboundAt = shared.regions.arenas + planeIndex * shared.geometry.arenaBytesPerPlane
  const inboundBytes = READ_HEADROOM + READ_BYTES
  const buffersAt = inboundAt + inboundBytes
  const buffers = mapping.window(buffersAt, shared.geometry.arenaBytesPerPlane - inboundBytes)
  return {
    shared,
    inbound: mapping.window(inboundAt, inboundBytes),
    arena: new BufferArena(buffers, (offset, bytes) => mapping.discard(buffersAt + offset, bytes)),
  }
}

/** Says in the shared memory who this is. */
function introduce(plane: Plane, { planes }: SharedState, { planeIndex, pid, generation, clock }: PlaneOptions): void {
  const record = planeIndex * (planes.recordBytes >> 2)
  planes.clear(planeIndex)
  planes.i32[record + PLANE.pid] = pid
  planes.i32[record + PLANE.generation] = generation
  plane.now = clock()
  plane.record.set('startedAt', plane.now)
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
    afterEvent: () => plane.deferred.run(),
    settle: () => {
      turns++
      keeper.flush()
    },
    tick: (now) => {
      plane.record.set('turnedAt', now)
      plane.record.set('turns', turns)
      plane.record.set('heapBytes', collector.tick(turns))
      plane.maintain()
    },
    fault: (error) => {
      plane.countPlane('internalErrors')
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
      plane.log('error', 'internal error outside of a connection', { reason })
    },
  }
}
