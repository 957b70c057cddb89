import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { FdChannel } from './fd-channel.ts'
import { Gather } from './gather.ts'
import { collect, type LinkBench, nativeBytes, openLink, openLinkOf, openRingIfAllowed } from './link-host.fixture.ts'
import { NativeBuffer } from './native.ts'
import { openSocketPair } from './socket.ts'
import type { SubmissionRing } from './submission-ring.ts'

const OWN_BYTES = 16_384

interface Bench extends LinkBench {
  readonly gather: Gather
}

function open(t: TestContext, pair = openSocketPair(), ring: SubmissionRing | null = null): Bench {
  const bench = openLink(t, undefined, pair, ring)
  return { ...bench, gather: new Gather(NativeBuffer.allocate(OWN_BYTES), bench.host.sends) }
}

type Step =
  | { readonly kind: 'forward'; readonly source: number; readonly start: number; readonly bytes: number }
  | { readonly kind: 'continue'; readonly bytes: number }
  | { readonly kind: 'insert'; readonly bytes: number }

test('any order of forwards and inserts arrives exactly as it was said', (t) => {
  const bench = open(t)
  const sources = [0, 1].map((shift) => {
    const source = NativeBuffer.allocate(40_000)
    for (let at = 0; at < source.size; at++) source.bytes[at] = (at * 31 + (at >> 7) + shift * 97) & 0xff
    return source
  })
  // Sizes around what is copied, what is sent by itself, and what is put together at once.
  const size = fc.oneof(fc.nat(50), fc.constantFrom(0, 8191, 8192, 8193, OWN_BYTES), fc.nat(20_000))
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant('forward' as const), source: fc.nat(1), start: fc.nat(20_000), bytes: size }),
    fc.record({ kind: fc.constant('continue' as const), bytes: size }),
    fc.record({ kind: fc.constant('insert' as const), bytes: fc.oneof(fc.nat(50), size, fc.constant(40_000)) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
      const expected: Buffer[] = []
      let source = sources[0] as NativeBuffer
      let end = 0
      bench.gather.begin(bench.owner.link)
      for (const one of steps) {
        if (one.kind === 'insert') {
          const bytes = Buffer.alloc(one.bytes, one.bytes)
          bench.gather.insert(bytes)
          expected.push(Buffer.from(bytes))
          // It was copied: what becomes of ours is nobody's business.
          bytes.fill(0)
          continue
        }
        if (one.kind === 'forward') source = sources[one.source] as NativeBuffer
        const start = one.kind === 'forward' ? one.start : end
        end = Math.min(source.size, start + one.bytes)
        bench.gather.forward(source, start, end)
        expected.push(Buffer.from(source.bytes.subarray(start, end)))
      }
      assert.equal(bench.gather.flush(), true)
      assert.ok(collect(bench).equals(Buffer.concat(expected)))
    }),
    { numRuns: 150 },
  )
})

test('what several streams composed stays as it was until the batch has left', (t) => {
  const ring = openRingIfAllowed()
  if (ring === null) return t.skip('io_uring is not allowed here')
  const bench = open(t, openSocketPair(), ring)
  const links = [bench, ...Array.from({ length: 5 }, () => openLinkOf(t, bench.host))]
  const message = fc.oneof(fc.nat(50), fc.constantFrom(8191, 8192), fc.nat(9000))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(5), fc.array(message, { minLength: 1, maxLength: 4 })), { maxLength: 20 }),
      (streams) => {
        const expected = links.map(() => [] as Buffer[])
        for (const [index, messages] of streams) {
          bench.gather.begin((links[index] as typeof bench).owner.link)
          for (const size of messages) {
            const bytes = Buffer.alloc(size, (index * 41 + size) & 0xff)
            bench.gather.insert(bytes)
            expected[index]?.push(bytes)
          }
          assert.equal(bench.gather.flush(), true)
        }
        bench.host.sends.flush()
        for (const [index, link] of links.entries()) {
          assert.ok(collect(link).equals(Buffer.concat(expected[index] ?? [])), `stream ${index}`)
        }
      },
    ),
    { numRuns: 100 },
  )
  return undefined
})

/** On a socket that keeps packets apart, each send is one. */
const openPackets = (t: TestContext): Bench => open(t, FdChannel.pair())

function packets({ peer }: Bench): Buffer[] {
  const list: Buffer[] = []
  for (let packet = peer.receive(); packet?.length; packet = peer.receive()) list.push(packet)
  return list
}

test('stretches that follow one another leave as one send, without a copy', (t) => {
  const bench = openPackets(t)
  const source = nativeBytes('abcdefgh')
  bench.gather.begin(bench.owner.link)
  bench.gather.forward(source, 0, 3)
  bench.gather.forward(source, 3, 5)
  // Before flush nothing has been copied: what is sent is what the source holds then.
  source.bytes.write('X', 1)
  bench.gather.forward(source, 5, 8)
  assert.equal(bench.gather.flush(), true)
  assert.deepEqual(packets(bench).map(String), ['aXcdefgh'])
})

test('short stretches with messages of our own between them leave as one send', (t) => {
  const bench = openPackets(t)
  const source = nativeBytes('abcdefgh')
  bench.gather.begin(bench.owner.link)
  bench.gather.insert(Buffer.from('1'))
  bench.gather.forward(source, 0, 3)
  bench.gather.insert(Buffer.from('2'))
  bench.gather.forward(source, 4, 5)
  assert.equal(bench.gather.flush(), true)
  assert.deepEqual(packets(bench).map(String), ['1abc2e'])
})

test('a long stretch is sent from where it lies, before what follows it', (t) => {
  const bench = openPackets(t)
  const source = NativeBuffer.allocate(20_000)
  bench.gather.begin(bench.owner.link)
  bench.gather.insert(Buffer.from('1'))
  bench.gather.forward(source, 0, 20_000)
  bench.gather.insert(Buffer.from('2'))
  assert.equal(bench.gather.flush(), true)
  assert.deepEqual(
    packets(bench).map(({ length }) => length),
    [1, 20_000, 1],
  )
})

test('nothing gathered sends nothing', (t) => {
  const bench = openPackets(t)
  bench.gather.begin(bench.owner.link)
  bench.gather.forward(nativeBytes('abc'), 2, 2)
  bench.gather.insert(Buffer.alloc(0))
  assert.equal(bench.gather.flush(), true)
  assert.deepEqual(packets(bench), [])
})

test('a link that has no room is told at the flush, and the next link is not blamed for it', (t) => {
  // More than the arena has.
  const full = open(t)
  const next = open(t)
  const { gather } = full
  gather.begin(full.owner.link)
  gather.forward(NativeBuffer.allocate(12_000_000), 0, 12_000_000)
  gather.insert(Buffer.from('more'))
  assert.equal(gather.flush(), false)
  gather.begin(next.owner.link)
  gather.insert(Buffer.from('fresh'))
  assert.equal(gather.flush(), true)
  assert.equal(collect(next).toString(), 'fresh')
  // It is told once: a flush of nothing afterwards is no failure.
  assert.equal(gather.flush(), true)
})

test('what one link was never flushed does not reach the next', (t) => {
  const first = open(t)
  const second = open(t)
  first.gather.begin(first.owner.link)
  first.gather.insert(Buffer.from('abandoned'))
  first.gather.begin(second.owner.link)
  first.gather.insert(Buffer.from('own'))
  assert.equal(first.gather.flush(), true)
  assert.equal(collect(second).toString(), 'own')
  assert.equal(collect(first).length, 0)
})
