import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import {
  collect,
  type LinkBench,
  nativeBytes,
  openLink,
  openLinkOf,
  openRingIfAllowed,
  pattern,
} from './link-host.fixture.ts'
import { NativeBuffer } from './native.ts'
import { openSocketPair } from './socket.ts'
import { RING_ENTRIES, type SubmissionRing } from './submission-ring.ts'

/** Runs with a ring; says so where there can be none. */
function withRing(name: string, run: (t: TestContext, ring: SubmissionRing) => void): void {
  test(name, (t) => {
    const ring = openRingIfAllowed()
    if (ring === null) t.skip('io_uring is not allowed here')
    else run(t, ring)
  })
}

/** Bytes that may wait in a batch. */
function stable(text: string): NativeBuffer {
  const buffer = nativeBytes(text)
  buffer.keepStable()
  return buffer
}

const open = (t: TestContext, ring: SubmissionRing | null, arenaBytes?: number): LinkBench =>
  openLink(t, arenaBytes, openSocketPair(), ring)

withRing('what is written waits for the end of the wake-up, and leaves in the order of the links', (t, ring) => {
  const first = open(t, ring)
  const second = openLinkOf(t, first.host)
  assert.ok(first.owner.link.write(stable('one'), 0, 3))
  assert.ok(second.owner.link.write(stable('two!'), 0, 4))
  assert.equal(String(first.peer.receive()), '')
  assert.equal(first.owner.bytesWritten, 0)
  first.host.sends.flush()
  assert.equal(String(first.peer.receive()), 'one')
  assert.equal(String(second.peer.receive()), 'two!')
  assert.deepEqual([first.owner.bytesWritten, second.owner.bytesWritten], [3, 4])
  assert.ok(first.host.sends.isEmpty)
})

withRing('messages of our own are copied, and wait behind what waits of the same link', (t, ring) => {
  const bench = open(t, ring)
  bench.owner.link.write(stable('first '), 0, 6)
  const changing = Buffer.from('second')
  bench.owner.link.send(changing)
  changing.fill(0)
  assert.equal(String(bench.peer.receive()), '')
  bench.host.sends.settle()
  assert.equal(String(bench.peer.receive()), 'first second')
})

withRing('several stretches of one link leave in order, with those of others between them', (t, ring) => {
  const first = open(t, ring)
  const second = openLinkOf(t, first.host)
  for (const text of ['a', 'b', 'c']) {
    first.owner.link.write(stable(text), 0, 1)
    second.owner.link.write(stable(text.toUpperCase()), 0, 1)
  }
  first.host.sends.settle()
  assert.equal(String(first.peer.receive()), 'abc')
  assert.equal(String(second.peer.receive()), 'ABC')
})

test('without a ring nothing waits', (t) => {
  const bench = open(t, null)
  bench.owner.link.write(stable('now'), 0, 3)
  assert.equal(String(bench.peer.receive()), 'now')
  assert.ok(bench.host.sends.isEmpty)
})

withRing('more sends than the ring has entries leave all', (t, ring) => {
  const first = open(t, ring)
  const links = [first, ...Array.from({ length: RING_ENTRIES + 5 }, () => openLinkOf(t, first.host))]
  for (const [at, { owner }] of links.entries()) owner.link.write(stable(`number ${at}`), 0, `number ${at}`.length)
  first.host.sends.flush()
  for (const [at, { peer }] of links.entries()) assert.equal(String(peer.receive()), `number ${at}`)
})

withRing('what a peer does not take waits in a buffer, and its feeder sees that it is blocked', (t, ring) => {
  const bench = open(t, ring)
  const source = pattern(1_000_000)
  const bytes = Buffer.from(source.bytes)
  source.keepStable()
  bench.owner.link.write(source, 0, source.size)
  assert.equal(bench.owner.link.blocked, false)
  bench.host.sends.flush()
  assert.equal(bench.owner.link.blocked, true)
  source.bytes.fill(0)
  assert.ok(collect(bench).equals(bytes))
  assert.ok(bench.owner.told.includes('drained'))
})

withRing('a peer that is gone is told after what it said last has been read', (t, ring) => {
  const bench = open(t, ring)
  bench.peer.send('last words')
  bench.peer.close()
  bench.owner.link.write(stable('too late'), 0, 8)
  bench.host.sends.flush()
  assert.deepEqual(bench.owner.told, [])
  bench.host.deferred.run()
  assert.deepEqual(bench.owner.told, ['readable', 'lost'])
  assert.equal(bench.owner.text, 'last words')
  assert.match(bench.owner.link.failure, /send: EPIPE/)
})

withRing('an arena without room loses the link whose peer does not read, and no other', (t, ring) => {
  const bench = open(t, ring, 65_536)
  const other = openLinkOf(t, bench.host)
  const source = NativeBuffer.allocate(1_000_000)
  source.keepStable()
  bench.owner.link.write(source, 0, source.size)
  other.owner.link.write(stable('fine'), 0, 4)
  bench.host.turn()
  assert.ok(bench.owner.told.includes('lost'))
  assert.match(bench.owner.link.failure, /no buffer left/)
  assert.equal(String(other.peer.receive()), 'fine')
})

for (const end of ['hangUp', 'close'] as const) {
  withRing(`what waits leaves before ${end}`, (t, ring) => {
    const bench = open(t, ring)
    bench.owner.link.write(stable('bye'), 0, 3)
    bench.owner.link[end]()
    assert.equal(String(bench.peer.receive()), '', 'not before the end of the wake-up')
    bench.host.sends.settle()
    assert.equal(String(bench.peer.receive()), 'bye')
    assert.equal(bench.peer.receive(), null)
  })
}

test('whatever waits and whatever does not, every link gets its bytes in order', (t) => {
  const ring = openRingIfAllowed()
  const write = fc.record({ link: fc.nat(3), bytes: fc.oneof(fc.nat(40), fc.nat(30_000)), stays: fc.boolean() })
  const flush = fc.constant('flush' as const)
  const benches = [ring, null].map((one) => {
    const first = open(t, one)
    return [first, ...Array.from({ length: 3 }, () => openLinkOf(t, first.host))] as const
  })
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: write }, flush), { maxLength: 40 }), (steps) => {
      for (const links of benches) {
        const expected = links.map(() => [] as Buffer[])
        for (const step of steps) {
          if (step === 'flush') {
            links[0].host.sends.flush()
            continue
          }
          const source = pattern(step.bytes)
          const bytes = Buffer.from(source.bytes)
          if (step.stays) source.keepStable()
          assert.ok(links[step.link]?.owner.link.write(source, 0, bytes.length))
          if (!step.stays) source.bytes.fill(0)
          expected[step.link]?.push(bytes)
        }
        links[0].host.sends.flush()
        for (const [at, link] of links.entries()) {
          assert.ok(collect(link).equals(Buffer.concat(expected[at] ?? [])), `link ${at}`)
        }
      }
    }),
    { numRuns: 60 },
  )
})
