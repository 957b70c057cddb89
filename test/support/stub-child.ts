/*
 * Children for tests of the keeper, as processes of their own: `node stub-child.ts BEHAVIOUR …`. A plane's channel is
 * descriptor 3, and so is control's.
 */
import { createReadStream, fstatSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { FdChannel } from '../../src/io/fd-channel.ts'
import { OwnedFd } from '../../src/io/owned-fd.ts'
import { SharedMapping } from '../../src/io/shared-memory.ts'
import { CLIENT, CLIENT_STATE } from '../../src/memory/client-slots.ts'
import {
  decodeKeeperMessage,
  encodePlaneMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
  type PlaneMessage,
  type SlotReference,
} from '../../src/memory/keeper-protocol.ts'
import { CLIENT_SLOT_BYTES } from '../../src/memory/layout.ts'
import { PLANE } from '../../src/memory/plane-records.ts'
import type { Region } from '../../src/memory/region.ts'
import { openSharedState, type SharedState } from '../../src/memory/shared-state.ts'
import { slotMark } from '../../src/memory/slot-mark.ts'

/** The title of a plane that has clients before its turn. */
const GIVEN_AHEAD = 'given ahead'

const CHANNEL_FD = 3
const MEMORY_FD = 4

const behaviours: Readonly<Record<string, () => void>> = {
  /**
   * A plane that answers every client with its own pid, and one that its predecessor had with `kept by` its pid; closes the
   * connection when the client ends. It dies when a client says anything: `crash` is its own doing then, anything else is
   * somebody else's; before `last words` it tells the keeper that the client is gone. Those that it was given ahead it answers
   * with `given ahead, kept by`.
   */
  'plane-pid': () => planeOfPids(null),
  /** The same, and it takes its time with those that it is given ahead, until SIGUSR2. */
  'plane-unhurried': () => planeOfPids((prepared) => process.once('SIGUSR2', prepared)),
  /** A plane that never reads its channel once it is ready. */
  'plane-deaf'() {
    const channel = standbyPlane()
    const stop = receiveFor(channel, ({ op }) => {
      if (op !== 'serve') return
      channel.send(packet, encodePlaneMessage({ op: 'ready' }, packet), [])
      stop()
    })
    setInterval(() => {}, 1000)
  },
  /** A plane that boots and then never serves. */
  'plane-silent'() {
    receiveFor(standbyPlane(), () => {})
  },
  /** One that dies when it should serve. */
  'plane-dying'() {
    receiveFor(standbyPlane(), ({ op }) => {
      if (op === 'serve') process.exit(3)
    })
  },
  'plane-garbage'() {
    standbyPlane().send(Buffer.from('garbage'), 7, [])
    setInterval(() => {}, 1000)
  },
  'plane-broken'() {
    process.exit(9)
  },
  /** Control that is ready at once and exits when told to stop, with 0. */
  'control-obedient'() {
    report({ op: 'ready' })
    onOrder((order) => {
      if (order.op === 'reload')
        report({ op: 'stop-please', mode: 'immediate', reason: 'reloading means stopping here' })
      if (order.op === 'leave') process.exit(0)
      if (order.op !== 'stop') return
      report({ op: 'planes-exit' })
      report({ op: 'exit', code: 0 })
      process.exit(0)
    })
  },
  /** Control that wants an upgrade as soon as there is a plane to replace. */
  'control-upgrading'() {
    report({ op: 'ready' })
    setTimeout(() => report({ op: 'upgrade', id: 1, program: null }), 1_000)
    onOrder(({ op }) => {
      if (op === 'leave') process.exit(0)
    })
  },
  /** Control that does nothing it is told. */
  'control-deaf'() {
    report({ op: 'ready' })
    onOrder(() => {})
  },
  'control-broken'() {
    process.exit(9)
  },
  /** Control that finds that the router cannot run at all. */
  'control-refusing'() {
    report({ op: 'exit', code: 7 })
    setTimeout(() => process.exit(0), 10)
  },
}

const packet = Buffer.alloc(MAX_PACKET_BYTES)

/** `whenAhead` says when to say that clients which were given ahead are there; by default at once. */
function planeOfPids(whenAhead: ((prepared: () => void) => void) | null): void {
  const channel = standbyPlane()
  const say = (message: PlaneMessage): void => void channel.send(packet, encodePlaneMessage(message, packet), [])
  const serve = (fd: OwnedFd | undefined, { slot, generation }: SlotReference, greeting: string): void => {
    if (fd === undefined) return
    const client = new Socket({ fd: fd.take(), readable: true, writable: true })
    client.on('error', () => {})
    client.write(greeting)
    client.on('data', (text) => {
      if (String(text) === 'last words') say({ op: 'gone', clients: [{ slot, generation }] })
      else markSlot(slot)
      if (String(text) === 'crash') process.exit(3)
      process.kill(process.pid, 'SIGKILL')
    })
    client.once('close', () => say({ op: 'gone', clients: [{ slot, generation }] }))
  }
  const ahead = new Map<number, { readonly client: SlotReference; readonly fd: OwnedFd | undefined }>()
  receiveFor(channel, (message, fds) => {
    switch (message.op) {
      case 'ahead':
        for (const [at, client] of message.clients.entries()) ahead.set(client.slot, { client, fd: fds[at] })
        process.title = GIVEN_AHEAD
        if (whenAhead === null) say({ op: 'prepared' })
        else whenAhead(() => say({ op: 'prepared' }))
        return
      case 'ended':
        for (const { slot } of message.clients) ahead.delete(slot)
        return
      case 'keep-clients':
        for (const [at, client] of message.clients.entries()) serve(fds[at], client, `kept by ${process.pid}\n`)
        return
      case 'new':
        for (const [at, client] of message.clients.entries()) {
          // So that the keeper sees that it is served.
          clientSlots().i32[client.slot * (CLIENT_SLOT_BYTES >> 2) + CLIENT.state] = CLIENT_STATE.idle
          serve(fds[at], client, `${process.pid}\n`)
        }
        return
      case 'keep-servers':
      case 'listener':
        return
      case 'serve':
        for (const { client, fd } of ahead.values()) serve(fd, client, `given ahead, kept by ${process.pid}\n`)
        say({ op: 'ready' })
        return
      case 'release':
        process.exit(0)
    }
  })
}

function standbyPlane(): FdChannel {
  const channel = new FdChannel(new OwnedFd(CHANNEL_FD), MAX_PACKET_BYTES)
  channel.send(packet, encodePlaneMessage({ op: 'standby' }, packet), [])
  return channel
}

/** Calls `onMessage` for what the keeper sends, until the function that it returns is called; exits when the keeper goes. */
function receiveFor(channel: FdChannel, onMessage: (message: KeeperMessage, fds: readonly OwnedFd[]) => void) {
  const timer = setInterval(() => {
    for (;;) {
      const received = channel.receive()
      if (received === 'gone') process.exit(0)
      if (received === 'empty') return
      onMessage(decodeKeeperMessage(received.bytes), received.fds)
    }
  }, 5)
  return () => clearInterval(timer)
}

let mapped: SharedState | null = null

function shared(): SharedState {
  mapped ??= openSharedState(new SharedMapping(new OwnedFd(MEMORY_FD), fstatSync(MEMORY_FD).size).memory)
  return mapped
}

function clientSlots(): Region {
  return shared().clients
}

/** As a plane does while it serves this client. */
function markSlot(slot: number): void {
  const { planes, clients } = shared()
  planes.i32[PLANE.slotInProgress] = slotMark(clients, slot)
}

function report(message: object): void {
  writeSync(CHANNEL_FD, `${JSON.stringify(message)}\n`)
}

function onOrder(handle: (order: { op: string }) => void): void {
  let text = ''
  createReadStream('', { fd: CHANNEL_FD, encoding: 'utf8' })
    .on('data', (chunk) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) handle(JSON.parse(line))
    })
    .on('end', () => process.exit(0))
}

behaviours[process.argv[2] ?? '']?.()
