import assert from 'node:assert/strict'
import { arch } from 'node:os'
import { type TestContext, test } from 'node:test'
import { RawPeer } from './link-host.fixture.ts'
import { acceptClient, openListener } from './listener.ts'
import { describeErrno, NativeBuffer, native } from './native.ts'
import type { OwnedFd } from './owned-fd.ts'
import { Poller, WRITABLE } from './poller.ts'
import {
  connectResult,
  FAILED,
  lastSocketError,
  localAddress,
  openSocketPair,
  receive,
  send,
  shutdownBoth,
  shutdownWrite,
  startConnect,
  tuneSocket,
  WOULD_BLOCK,
} from './socket.ts'
import { parseSocketAddress } from './socket-address.ts'

const buffer = NativeBuffer.allocate(65_536)
const loopback = (port: number) => parseSocketAddress('127.0.0.1', port)

function pair(t: TestContext): [OwnedFd, OwnedFd] {
  const both = openSocketPair()
  t.after(() => both.forEach((one) => void one.close()))
  return both
}

function listen(t: TestContext, backlog = 16): OwnedFd {
  const listener = openListener(loopback(0), { backlog, ipv6Only: false })
  t.after(() => listener.close())
  return listener
}

/** Waits until a connect is decided. */
function decided(fd: OwnedFd): number {
  const poller = new Poller(arch())
  poller.add(fd, WRITABLE, { onReady: () => {} })
  assert.equal(poller.wait(5000), 1)
  native.close(poller.fd)
  return connectResult(fd)
}

/** A connection on loopback, both ends. */
function connected(t: TestContext): [OwnedFd, OwnedFd] {
  const listener = listen(t)
  const client = startConnect(localAddress(listener))
  assert.equal(decided(client), 0)
  const accepted = acceptClient(listener)
  assert.ok(typeof accepted !== 'string')
  t.after(() => [client.close(), accepted.fd.close()])
  return [client, accepted.fd]
}

test('bytes go from one end to the other, from and to the places named', (t) => {
  const [left, right] = pair(t)
  buffer.bytes.write('..abcdef..')
  assert.equal(send(left, buffer, 2, 6), 6)
  buffer.bytes.fill(0x2e)
  assert.equal(receive(right, buffer, 3, 4), 4)
  assert.equal(buffer.bytes.toString('latin1', 0, 8), '...abcd.')
})

test('nothing to read is no end, and a full socket is no failure', (t) => {
  const [left, right] = pair(t)
  assert.equal(receive(right, buffer, 0, 100), WOULD_BLOCK)
  let sent = 0
  for (let count = send(left, buffer, 0, buffer.size); count > 0; count = send(left, buffer, 0, buffer.size))
    sent += count
  assert.ok(sent >= 65_536)
  assert.equal(send(left, buffer, 0, 1), WOULD_BLOCK)
  let received = 0
  while (received < sent) received += receive(right, buffer, 0, buffer.size)
  assert.equal(received, sent)
  assert.equal(send(left, buffer, 0, 1), 1)
})

test('a peer that sends no more is at its end after its last bytes', (t) => {
  const [left, right] = pair(t)
  new RawPeer(left).send('last')
  shutdownWrite(left)
  assert.equal(receive(right, buffer, 0, 100), 4)
  assert.equal(receive(right, buffer, 0, 100), 0)
  // The other direction is open still.
  new RawPeer(right).send('back')
  assert.equal(receive(left, buffer, 0, 100), 4)
})

test('sending to a peer that is gone fails with its error, and without a signal', (t) => {
  const [left, right] = pair(t)
  right.close()
  assert.equal(send(left, buffer, 0, 1), FAILED)
  assert.equal(describeErrno('send', lastSocketError), 'send: EPIPE')
})

test('a reset is a failure to read', (t) => {
  const [client, server] = connected(t)
  new RawPeer(client).send('unread')
  // A socket closed with bytes unread resets its connection.
  const poller = new Poller(arch())
  poller.add(server, 1, { onReady: () => {} })
  assert.equal(poller.wait(5000), 1)
  native.close(poller.fd)
  server.close()
  assert.equal(receive(client, buffer, 0, 100), FAILED)
  assert.equal(describeErrno('recv', lastSocketError), 'recv: ECONNRESET')
})

test('shutting both directions down ends the connection for duplicates too', (t) => {
  const [left, right] = pair(t)
  const F_DUPFD = 0
  const duplicate = native.fcntl(left.fd, F_DUPFD, 0)
  shutdownBoth(left)
  left.close()
  assert.equal(receive(right, buffer, 0, 100), 0)
  native.close(duplicate)
})

test('a connect succeeds with both ends knowing their addresses', (t) => {
  const listener = listen(t)
  const there = localAddress(listener)
  assert.equal(there.host, '127.0.0.1')
  assert.ok(there.port > 0)
  const client = startConnect(there)
  assert.equal(decided(client), 0)
  const accepted = acceptClient(listener)
  assert.ok(typeof accepted !== 'string')
  assert.deepEqual(accepted.peer, localAddress(client))
  client.close()
  accepted.fd.close()
})

test('a connect that is refused says so when it is decided', (t) => {
  const listener = listen(t)
  const address = localAddress(listener)
  listener.close()
  const client = startConnect(address)
  assert.equal(describeErrno('connect', decided(client)), 'connect: ECONNREFUSED')
  // The error was fetched: a socket has it once.
  assert.equal(connectResult(client), 0)
  client.close()
})

test('a connect that the kernel refuses at once throws and leaves no descriptor', () => {
  const [before, other] = openSocketPair()
  const next = other.fd
  other.close()
  assert.throws(() => startConnect(parseSocketAddress('/nowhere/at/all', 0)), /connect: ENOENT/)
  const [after, more] = openSocketPair()
  assert.equal(Math.min(after.fd, more.fd), next)
  for (const one of [before, after, more]) one.close()
})

test('a tuned socket sends small writes at once and notices a vanished peer', (t) => {
  const [client] = connected(t)
  tuneSocket(client, 2)
  const option = (level: number, name: number): number => {
    buffer.bytes.writeInt32LE(4, 4)
    assert.equal(native.getsockopt(client.fd, level, name, buffer.address, buffer.address + 4), 0)
    return buffer.bytes.readInt32LE(0)
  }
  // TCP_NODELAY, SO_KEEPALIVE, TCP_KEEPIDLE, TCP_USER_TIMEOUT of tcp(7) and socket(7).
  assert.deepEqual([option(6, 1), option(1, 9), option(6, 4), option(6, 18)], [1, 1, 60, 120_000])
})

test('a Unix socket has nothing to tune', (t) => {
  const [left] = pair(t)
  tuneSocket(left, 1)
  assert.equal(connectResult(left), 0)
})
