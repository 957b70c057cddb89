import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FdChannel } from '../io/fd-channel.ts'
import {
  decodeKeeperMessage,
  encodePlaneMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
  type NewClient,
} from '../memory/keeper-protocol.ts'
import { PlaneChannel } from './plane-channel.ts'

const reference = (slot: number) => ({ slot, generation: slot + 100 })
const newClient = (slot: number): NewClient => ({
  ...reference(slot),
  family: 4,
  remotePort: 40_000,
  localPort: 6432,
  address: '192.0.2.7',
})

/** A channel whose connections all have the same descriptor, but for `lost`; and the plane's end of it. */
function open(t: TestContext, lost: readonly number[] = []) {
  const [ours, theirs] = FdChannel.pair()
  const [any, other] = FdChannel.pair()
  const descriptor = (slot: number): number | null => (lost.includes(slot) ? null : any.fd)
  const channel = new PlaneChannel(ours, { client: descriptor, server: descriptor, listeners: [] })
  const plane = new FdChannel(theirs, MAX_PACKET_BYTES)
  t.after(() => {
    channel.close()
    plane.close()
    any.close()
    other.close()
  })
  /** What arrived, and as many descriptors as it has records. */
  const arrived = (): KeeperMessage[] => {
    const messages: KeeperMessage[] = []
    for (let one = plane.receive(); typeof one !== 'string'; one = plane.receive()) {
      const message = decodeKeeperMessage(one.bytes)
      // They are closed, not sent.
      if (message.op === 'ended') {
        messages.push(message)
        continue
      }
      const records = 'clients' in message ? message.clients : 'servers' in message ? message.servers : []
      assert.equal(one.fds.length, records.length)
      for (const fd of one.fds) fd.close()
      messages.push(message)
    }
    return messages
  }
  return { channel, plane, arrived }
}

const references = (count: number) => Array.from({ length: count }, (_, slot) => reference(slot))

test('a predecessor’s connections come first, then the word to serve; new clients wait until the plane is ready', (t) => {
  const { channel, arrived } = open(t)
  channel.announce(newClient(9))
  channel.handOver({ servers: references(2), clients: references(70), unseen: [newClient(80)] })
  assert.equal(channel.flush(), 'sent')
  assert.deepEqual(arrived(), [
    { op: 'keep-servers', servers: references(2) },
    { op: 'keep-clients', clients: references(70).slice(0, 64) },
    { op: 'keep-clients', clients: references(70).slice(64) },
    { op: 'serve' },
  ])
  assert.equal(channel.isBacklogged, false)
  channel.open()
  channel.flush()
  assert.deepEqual(arrived(), [{ op: 'new', clients: [newClient(80), newClient(9)] }])
})

test('whom the plane was given ahead it is not given again, and it is told who has left or was replaced meanwhile', (t) => {
  const { channel, arrived } = open(t, [3])
  assert.equal(channel.waiting, 0)
  channel.sendAhead(references(70))
  channel.flush()
  const sent = references(70).filter(({ slot }) => slot !== 3)
  assert.deepEqual(arrived(), [
    { op: 'ahead', clients: sent.slice(0, 63) },
    { op: 'ahead', clients: sent.slice(63) },
  ])
  assert.deepEqual([channel.prepared(), channel.prepared()], [false, true])
  const another = { slot: 5, generation: 900 }
  const clients = [...references(70).filter(({ slot }) => ![3, 4, 5].includes(slot)), another, reference(90)]
  channel.handOver({ servers: references(1), clients, unseen: [] })
  channel.flush()
  assert.deepEqual(arrived(), [
    { op: 'ended', clients: [reference(4), reference(5)] },
    { op: 'keep-servers', servers: references(1) },
    { op: 'keep-clients', clients: [another, reference(90)] },
    { op: 'serve' },
  ])
})

test('what was to be sent ahead and had to wait is handed over with the rest', (t) => {
  const { channel, arrived } = open(t)
  const clients = references(40_000)
  channel.sendAhead(clients)
  assert.equal(channel.flush(), 'full')
  channel.handOver({ servers: [], clients, unseen: [] })
  const messages: KeeperMessage[] = []
  for (let result = channel.flush(); result !== 'sent'; result = channel.flush()) messages.push(...arrived())
  messages.push(...arrived())
  const ops = new Set(messages.map(({ op }) => op))
  assert.deepEqual([...ops], ['ahead', 'keep-clients', 'serve'])
  const given = messages.flatMap((message) => ('clients' in message ? message.clients : []))
  assert.deepEqual(given, clients)
})

test('a plane without a predecessor is only told to serve', (t) => {
  const { channel, arrived } = open(t)
  channel.handOver({ servers: [], clients: [], unseen: [] })
  channel.flush()
  assert.deepEqual(arrived(), [{ op: 'serve' }])
})

test('more than the channel takes goes on when the plane has read, in order and nothing twice', (t) => {
  const { channel, arrived } = open(t)
  const clients = references(40_000)
  channel.handOver({ servers: [], clients, unseen: [] })
  const messages: KeeperMessage[] = []
  let rounds = 0
  for (let result = channel.flush(); result !== 'sent'; result = channel.flush()) {
    assert.equal(result, 'full')
    assert.equal(channel.isBacklogged, true)
    assert.ok(rounds++ < 1000)
    messages.push(...arrived())
  }
  messages.push(...arrived())
  assert.ok(rounds > 0, 'the channel was never full')
  assert.equal(channel.isBacklogged, false)
  const kept = messages.flatMap((message) => (message.op === 'keep-clients' ? message.clients : []))
  assert.deepEqual(kept, clients)
  assert.deepEqual(messages.at(-1), { op: 'serve' })
})

test('whoever has left before it could be sent is left out', (t) => {
  const { channel, arrived } = open(t, [1])
  channel.handOver({ servers: references(3), clients: references(3), unseen: [newClient(1), newClient(2)] })
  channel.open()
  channel.flush()
  const rest = [reference(0), reference(2)]
  assert.deepEqual(arrived(), [
    { op: 'keep-servers', servers: rest },
    { op: 'keep-clients', clients: rest },
    { op: 'serve' },
    { op: 'new', clients: [newClient(2)] },
  ])
})

test('the last words of a dead plane are heard, also when it left ours unread', (t) => {
  for (const unread of [false, true]) {
    const { channel, plane } = open(t)
    const packet = Buffer.alloc(MAX_PACKET_BYTES)
    for (const slot of [1, 2]) {
      plane.send(packet, encodePlaneMessage({ op: 'gone', clients: [reference(slot)] }, packet), [])
    }
    if (unread) {
      channel.handOver({ servers: [], clients: [], unseen: [] })
      channel.flush()
    }
    plane.close()
    assert.equal([...channel.lastWords()].length, 2, `unread: ${unread}`)
  }
})

test('a plane that closed its end is gone, also for somebody who only sends', (t) => {
  const { channel, plane } = open(t)
  plane.close()
  channel.release()
  assert.equal(channel.flush(), 'gone')
})
