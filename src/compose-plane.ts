import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync } from 'node:fs'
import { BufferArena } from './io/buffer-arena.ts'
import { FdChannel } from './io/fd-channel.ts'
import { READ_BYTES, READ_HEADROOM } from './io/link.ts'
import { OwnedFd } from './io/owned-fd.ts'
import { Poller } from './io/poller.ts'
import { SharedMapping } from './io/shared-memory.ts'
import { PLANE, PLANE_F64 } from './memory/plane-records.ts'
import { openSharedState } from './memory/shared-state.ts'
import { PlaneCommands } from './plane/commands.ts'
import { ControlLink } from './plane/control-link.ts'
import { type Heap, IdleCollector } from './plane/idle-collector.ts'
import { KeeperLink } from './plane/keeper-link.ts'
import { NO_VALUES } from './plane/no-values.ts'
import { Plane } from './plane/plane.ts'
import { Reactor } from './plane/reactor.ts'
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

/**
 * A plane process from start to end. Order: map memory, build the tables, watch the keeper's channel, dial control; ready
 * for clients once control has sent values. Ends when the keeper goes or control says so; returns the exit code.
 */
export function runPlane(options: PlaneOptions): number {
  const { planeIndex, generation, clock } = options
  const memoryFd = new OwnedFd(options.memoryFd)
  const mapping = new SharedMapping(memoryFd, fstatSync(memoryFd.fd).size)
  closeSync(memoryFd.take())
  const shared = openSharedState(mapping.memory)
  const poller = new Poller(options.architecture)
  const timers = new TimerWheel(clock())
  // The first pages of the plane's arena are where every read lands.
  const arenaAt = shared.regions.arenas + planeIndex * shared.geometry.arenaBytesPerPlane
  const inboundBytes = READ_HEADROOM + READ_BYTES
  const buffersAt = arenaAt + inboundBytes
  const arena = new BufferArena(
    mapping.window(buffersAt, shared.geometry.arenaBytesPerPlane - inboundBytes),
    (offset, bytes) => mapping.discard(buffersAt + offset, bytes),
  )
  const collector = new IdleCollector(options.heap)
  let turns = 0
  let isReady = false
  const plane = new Plane({
    planeIndex,
    shared,
    poller,
    timers,
    arena,
    inbound: mapping.window(arenaAt, inboundBytes),
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
  const record = planeIndex * (shared.planes.recordBytes >> 2)
  shared.planes.clear(planeIndex)
  shared.planes.i32[record + PLANE.pid] = options.pid
  shared.planes.i32[record + PLANE.generation] = generation
  plane.now = clock()
  plane.set(PLANE_F64.startedAt, plane.now)
  const channelFd = new OwnedFd(options.channelFd)
  const keeper = new KeeperLink(poller, new FdChannel(channelFd), channelFd, {
    onNewClient: (client, fd) => plane.accept(client, fd),
    onKeeperGone: () => reactor.stop(),
  })
  const commands = new PlaneCommands(
    plane,
    (event) => control.send(event),
    () => reactor.stop(),
  )
  const control: ControlLink = new ControlLink(
    plane,
    {
      get now() {
        return plane.now
      },
      timers,
      hello: () => ({
        op: 'hello',
        plane: planeIndex,
        pid: options.pid,
        valuesVersion: plane.values.version,
        topologyVersion: plane.values.topology.version,
      }),
      onCommand: (command) => {
        commands.run(command)
        if (isReady || plane.values.version === NO_VALUES.version) return
        isReady = true
        keeper.ready()
      },
      onEventDropped: () => plane.add(PLANE_F64.eventsDropped),
      onLost: () => plane.accounts.forget(),
    },
    `${options.runDirectory}/control.sock`,
  )
  const reactor: Reactor = new Reactor(poller, timers, clock, {
    wake: (now) => {
      plane.now = now
    },
    afterEvent: () => plane.deferred.run(),
    settle: () => {
      turns++
      keeper.flush()
    },
    tick: (now) => {
      plane.set(PLANE_F64.turnedAt, now)
      plane.set(PLANE_F64.turns, turns)
      plane.set(PLANE_F64.heapBytes, collector.tick(turns))
      plane.maintain()
    },
    fault: (error) => {
      plane.countPlane('internalErrors')
      plane.log('error', 'internal error outside of any connection', {
        reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      })
    },
  })
  control.dial()
  reactor.run()
  return 0
}
