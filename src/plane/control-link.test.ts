import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { RawPeer } from '../io/link-host.fixture.ts'
import { acceptClient, openListener } from '../io/listener.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import type { PlaneCommand, PlaneEvent } from '../memory/control-protocol.ts'
import { encodeFrame, FrameDecoder } from '../memory/frame-codec.ts'
import { openServerHost, type TestServerHost } from '../server/server-host.fixture.ts'
import { ControlLink } from './control-link.ts'

const HELLO: PlaneEvent = { op: 'hello', plane: 0, pid: 1, valuesVersion: 2, topologyVersion: 3 }
const PAUSE: PlaneCommand = { op: 'pause', id: 1, database: null }
const done = (id: number): PlaneEvent => ({ op: 'done', id, error: null })

interface Bench {
  readonly host: TestServerHost
  readonly link: ControlLink
  readonly commands: PlaneCommand[]
  /** `dropped` and `lost`, as they were told. */
  readonly story: string[]
  /** Control starts to listen. */
  listen(): void
  /** Control's end of the next connection. */
  accept(): Control
  /** The next command throws. */
  breakOnce(): void
}

/** The other side: events in, commands out. */
class Control {
  readonly peer: RawPeer
  readonly #decoder = new FrameDecoder<PlaneEvent>()

  constructor(fd: OwnedFd) {
    this.peer = new RawPeer(fd)
  }

  /** Events that have come; null when the plane has closed. */
  events(): PlaneEvent[] | null {
    const events: PlaneEvent[] = []
    for (;;) {
      const bytes = this.peer.receive()
      if (bytes === null) return events.length > 0 ? events : null
      if (bytes.length === 0) return events
      events.push(...this.#decoder.push(bytes))
    }
  }

  send(bytes: Buffer): void {
    assert.equal(this.peer.send(bytes), bytes.length)
  }
}

function open(t: TestContext): Bench {
  const host = openServerHost(t)
  const directory = mkdtempSync(join(tmpdir(), 'control-link-'))
  const path = join(directory, 'control.sock')
  const commands: PlaneCommand[] = []
  const story: string[] = []
  const ends: OwnedFd[] = []
  let listener: OwnedFd | null = null
  let breaks = false
  const link = new ControlLink(
    host,
    {
      get now() {
        return host.now
      },
      timers: host.timers,
      hello: () => HELLO,
      onCommand: (command) => {
        if (breaks) {
          breaks = false
          throw new Error('broken command')
        }
        commands.push(command)
      },
      onEventDropped: () => void story.push('dropped'),
      onLost: () => void story.push('lost'),
    },
    path,
  )
  t.after(() => {
    for (const one of ends) one.close()
    listener?.close()
    host.settle()
    assert.equal(host.arena.buffersInUse, 0)
    rmSync(directory, { recursive: true })
  })
  return {
    host,
    link,
    commands,
    story,
    listen: () => {
      listener = openListener(parseSocketAddress(path, 0), { backlog: 4, ipv6Only: false })
    },
    accept: () => {
      const accepted = acceptClient(listener as OwnedFd)
      assert.ok(typeof accepted !== 'string', accepted as string)
      ends.push(accepted.fd)
      return new Control(accepted.fd)
    },
    breakOnce: () => {
      breaks = true
    },
  }
}

test('it says who it is before anything else, and then what happens, in order', (t) => {
  const { link, listen, accept } = open(t)
  listen()
  link.dial()
  assert.equal(link.connected, true)
  link.send(done(1))
  link.send(done(2))
  assert.deepEqual(accept().events(), [HELLO, done(1), done(2)])
})

test('where there is no hurry it dials later, with what has happened meanwhile', (t) => {
  const { host, link, listen, accept } = open(t)
  listen()
  link.dialIn(50)
  link.send(done(1))
  assert.equal(link.connected, false)
  host.now += 40
  host.timers.advance(host.now)
  assert.equal(link.connected, false)
  host.now += 30
  host.timers.advance(host.now)
  link.send(done(2))
  assert.deepEqual(accept().events(), [HELLO, done(1), done(2)])
})

test('whoever has to wait for an answer does not wait for that', (t) => {
  const { host, link, listen, accept } = open(t)
  listen()
  link.dialIn(50)
  link.send(done(1))
  const question: PlaneEvent = { op: 'account', user: 'ada', database: 'shop' }
  link.send(question)
  assert.equal(link.connected, true)
  host.now += 100
  host.timers.advance(host.now)
  assert.deepEqual(accept().events(), [HELLO, done(1), question])
})

test('events that are too many to wait are told at once', (t) => {
  const { link, listen, accept } = open(t)
  listen()
  link.dialIn(50)
  for (let id = 1; id <= 1000; id++) link.send(done(id))
  assert.equal(link.connected, true)
  assert.ok((accept().events()?.length ?? 0) > 100)
  link.onLost()
})

test('commands arrive whole and in order, however they are cut', (t) => {
  const { host, link, commands, listen, accept } = open(t)
  listen()
  link.dial()
  const control = accept()
  const long: PlaneCommand = { op: 'account', user: 'x'.repeat(200_000), account: null, error: null }
  const bytes = Buffer.concat([PAUSE, long, PAUSE].map((command) => encodeFrame(command)))
  for (let at = 0; at < bytes.length; at += 30_011) {
    control.send(bytes.subarray(at, at + 30_011))
    host.settle()
  }
  assert.deepEqual(commands, [PAUSE, long, PAUSE])
})

test('where nobody listens yet it dials again every 100 ms, until somebody does', (t) => {
  const { host, link, story, listen, accept } = open(t)
  link.dial()
  assert.equal(link.connected, false)
  host.pass(50)
  link.send(done(1))
  assert.deepEqual(story, ['dropped'])
  host.pass(60)
  assert.equal(link.connected, false)
  listen()
  host.pass(50)
  assert.equal(link.connected, false)
  host.pass(70)
  assert.equal(link.connected, true)
  assert.deepEqual(accept().events(), [HELLO])
})

test('a control process that ends is lost once, and the next one gets a hello of its own', (t) => {
  const { host, link, story, listen, accept } = open(t)
  listen()
  link.dial()
  accept().peer.close()
  host.settle()
  assert.deepEqual([link.connected, story], [false, ['lost']])
  host.pass(120)
  assert.deepEqual(accept().events(), [HELLO])
})

test('half a command of a control process that ended is not put before those of the next', (t) => {
  const { host, link, commands, listen, accept } = open(t)
  listen()
  link.dial()
  const first = accept()
  first.send(encodeFrame(PAUSE).subarray(0, 10))
  host.settle()
  first.peer.close()
  host.settle()
  host.pass(120)
  accept().send(encodeFrame(PAUSE))
  host.settle()
  assert.deepEqual(commands, [PAUSE])
})

test('events for a control process that does not read wait up to a bound, and are dropped beyond it', (t) => {
  const { host, link, story, listen, accept } = open(t)
  listen()
  link.dial()
  const control = accept()
  const event: PlaneEvent = { op: 'log', level: 'info', message: 'x'.repeat(10_000), fields: {} }
  let sent = 0
  while (story.length === 0) {
    link.send(event)
    sent++
  }
  assert.ok(host.arena.bytesInUse > 0 && host.arena.bytesInUse <= 1024 * 1024)
  let received = 0
  host.turnUntil(() => {
    received += control.events()?.length ?? 0
    return host.arena.bytesInUse === 0
  })
  received += control.events()?.length ?? 0
  assert.deepEqual([received, story, link.connected], [sent, ['dropped'], true])
  link.send(done(1))
  assert.deepEqual(control.events(), [done(1)])
})

test('bytes that are no frames end the connection, and a new one is dialled', (t) => {
  const { host, link, commands, story, listen, accept } = open(t)
  listen()
  link.dial()
  const control = accept()
  control.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  assert.throws(() => host.settle(), /control protocol: a frame of/)
  assert.deepEqual([link.connected, commands, story], [false, [], ['lost']])
  assert.deepEqual([control.events(), control.events()], [[HELLO], null])
  host.pass(120)
  assert.deepEqual(accept().events(), [HELLO])
})

test('a command that throws ends the connection and is reported, and the next one is served', (t) => {
  const { host, link, commands, listen, accept, breakOnce } = open(t)
  listen()
  link.dial()
  breakOnce()
  accept().send(encodeFrame(PAUSE))
  assert.throws(() => host.settle(), /broken command/)
  host.pass(120)
  const control = accept()
  control.send(encodeFrame(PAUSE))
  host.settle()
  assert.deepEqual(commands, [PAUSE])
})
