import assert from 'node:assert/strict'
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import { FdChannel, MAX_DESCRIPTORS, type Received } from './fd-channel.ts'
import { NativeBuffer, native } from './native.ts'

const RLIMIT_NOFILE = 7
const F_GETFD = 1

function open(packetBytes?: number): [FdChannel, FdChannel] {
  const [left, right] = FdChannel.pair()
  return [new FdChannel(left, packetBytes), new FdChannel(right, packetBytes)]
}

function received(channel: FdChannel): Received {
  const result = channel.receive()
  assert.ok(typeof result !== 'string', `expected a packet, the channel is ${result}`)
  return result
}

const text = (bytes: string): Buffer => Buffer.from(bytes, 'latin1')

test('packets keep their boundaries and their order', (t) => {
  const [left, right] = open()
  t.after(() => [left.close(), right.close()])
  assert.equal(left.send(text('first'), 5, []), 'sent')
  assert.equal(left.send(text('second packet'), 6, []), 'sent')
  assert.equal(received(right).bytes.toString(), 'first')
  assert.equal(received(right).bytes.toString(), 'second')
  assert.equal(right.receive(), 'empty')
})

test('a descriptor arrives as a new close-on-exec number for the same file', (t) => {
  const [left, right] = open()
  const [a, b] = FdChannel.pair()
  t.after(() => [left, right, a, b].forEach((owner) => void owner.close()))
  left.send(text('x'), 1, [a.fd])
  const { fds, truncated } = received(right)
  assert.equal(truncated, false)
  assert.equal(fds.length, 1)
  const copy = fds[0]
  assert.ok(copy !== undefined && copy.fd !== a.fd)
  assert.equal(native.fcntl(copy.fd, F_GETFD, 0), 1)
  writeSync(copy.fd, 'through the copy')
  copy.close()
  const buffer = Buffer.alloc(64)
  assert.equal(buffer.toString('latin1', 0, readSync(b.fd, buffer)), 'through the copy')
})

test('250 descriptors travel in one packet, in order', (t) => {
  const [left, right] = open()
  const files = Array.from({ length: 250 }, (_, index) => openSync(index % 2 === 0 ? '/dev/null' : '/dev/zero', 'r'))
  t.after(() => [left.close(), right.close()])
  t.after(() => files.forEach((fd) => void closeSync(fd)))
  assert.equal(left.send(text('many'), 4, files), 'sent')
  const { fds, truncated } = received(right)
  assert.equal(truncated, false)
  assert.deepEqual(
    fds.map((owner) => fstatSync(owner.fd).rdev),
    files.map((fd) => fstatSync(fd).rdev),
  )
  for (const owner of fds) owner.close()
})

test('a receiver without room for all descriptors gets the first ones and is told', (t) => {
  const [left, right] = open()
  const file = openSync('/dev/null', 'r')
  const limits = NativeBuffer.allocate(16)
  native.getrlimit(RLIMIT_NOFILE, limits.address)
  const before = limits.bytes.readBigUInt64LE(0)
  t.after(() => {
    limits.bytes.writeBigUInt64LE(before, 0)
    native.setrlimit(RLIMIT_NOFILE, limits.address)
    left.close()
    right.close()
    closeSync(file)
  })
  left.send(text('cut'), 3, Array(50).fill(file))
  // The lowest free number is `file + 1` or above: ten more fit under the lowered limit.
  limits.bytes.writeBigUInt64LE(BigInt(file + 11), 0)
  native.setrlimit(RLIMIT_NOFILE, limits.address)
  const { fds, truncated } = received(right)
  assert.equal(truncated, true)
  assert.ok(fds.length <= 10)
  for (const owner of fds) owner.close()
})

test('a packet longer than the receiver takes is reported as truncated', (t) => {
  const [left, right] = FdChannel.pair()
  const wide = new FdChannel(left, 1000)
  const narrow = new FdChannel(right, 10)
  t.after(() => [wide.close(), narrow.close()])
  wide.send(Buffer.alloc(11, 'x'), 11, [])
  const result = received(narrow)
  assert.equal(result.truncated, true)
  assert.equal(result.bytes.length, 10)
})

test('a channel that nobody reads becomes full and works again once it is read', (t) => {
  const [left, right] = open()
  t.after(() => [left.close(), right.close()])
  let sent = 0
  while (left.send(text('packet'), 6, []) === 'sent') sent++
  assert.ok(sent > 10)
  for (let i = 0; i < sent; i++) received(right)
  assert.equal(right.receive(), 'empty')
  assert.equal(left.send(text('packet'), 6, []), 'sent')
})

test('a closed peer is gone for both directions, after its packets were read', (t) => {
  const [left, right] = open()
  t.after(() => right.close())
  left.send(text('last words'), 10, [])
  left.close()
  assert.equal(received(right).bytes.toString(), 'last words')
  assert.equal(right.receive(), 'gone')
  assert.equal(right.send(text('x'), 1, []), 'gone')
})

test('a peer that died with unread packets is gone, not an error', (t) => {
  const [left, right] = open()
  t.after(() => right.close())
  right.send(text('never read'), 10, [])
  left.close()
  assert.equal(right.receive(), 'gone')
})

test('descriptors in a packet that nobody received are closed with the channel', () => {
  const [left, right] = open()
  const [a, b] = FdChannel.pair()
  left.send(text('x'), 1, [a.fd])
  a.close()
  const peer = new FdChannel(b)
  assert.equal(peer.receive(), 'empty')
  left.close()
  right.close()
  assert.equal(peer.receive(), 'gone')
  peer.close()
})

test('what the kernel would refuse is refused before the call', (t) => {
  const [left, right] = open(100)
  t.after(() => [left.close(), right.close()])
  assert.throws(() => left.send(Buffer.alloc(0), 0, []), RangeError)
  assert.throws(() => left.send(Buffer.alloc(101), 101, []), RangeError)
  assert.throws(() => left.send(text('x'), 1, Array(MAX_DESCRIPTORS + 1).fill(0)), RangeError)
  assert.throws(() => left.send(text('x'), 1, [99999]), /sendmsg: EBADF/)
})
