import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { NativeBuffer } from '../io/native.ts'
import { ClientDelivery, type Echo } from './client-delivery.ts'

const TEXT = 'one two three four five six'
const source = NativeBuffer.allocate(TEXT.length)
source.bytes.write(TEXT, 'latin1')
const other = NativeBuffer.allocate(TEXT.length)
other.bytes.write(TEXT.replace('three', 'THREE'), 'latin1')

/** A delivery, and what the client has got. */
class Bench {
  got = ''
  readonly delivery: ClientDelivery = new ClientDelivery({
    forward: ({ bytes }, start, end) => {
      this.got += bytes.toString('latin1', start, end)
    },
    insert: (bytes) => {
      this.got += Buffer.from(bytes).toString('latin1')
    },
  })

  constructor(summedBytes = 1000) {
    this.delivery.summedBytes = summedBytes
  }

  /** All of `text` from `start` on, in pieces that end at `cuts`; those at odd places are messages of ours. */
  pass(text: NativeBuffer, cuts: readonly number[], start = 0): void {
    const ends = [...new Set([...cuts.filter((cut) => cut > start), TEXT.length])].sort((a, b) => a - b)
    let at = start
    for (const [index, end] of ends.entries()) {
      if (index % 3 === 2) this.delivery.insert(text.bytes.subarray(at, end))
      else this.delivery.forward(text, at, end)
      if (index % 2 === 1) this.delivery.settle(false)
      at = end
    }
  }
}

const echoOf = (bytes: number): Echo => ({
  bytes,
  crc: crc32(TEXT.slice(0, bytes)),
  answered: 0,
  isMidMessage: false,
  of: 'transaction',
})
const cuts = fc.array(fc.integer({ min: 1, max: TEXT.length }), { maxLength: 8 })

test('whatever the pieces, the client gets everything, and the checksum is that of everything', () => {
  fc.assert(
    fc.property(cuts, (ends) => {
      const bench = new Bench()
      bench.pass(source, ends)
      assert.equal(bench.got, TEXT)
      assert.deepEqual(bench.delivery.sum, { bytes: TEXT.length, crc: crc32(TEXT) })
    }),
  )
})

test('what the client has got already it does not get again, and then the rest', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: TEXT.length }), cuts, (had, ends) => {
      const bench = new Bench()
      bench.delivery.expect(echoOf(had))
      bench.delivery.begin()
      // A message of ours is whole on either side of what the client has got.
      bench.pass(source, [...ends, had])
      assert.deepEqual(
        [bench.got, bench.delivery.isEchoing, bench.delivery.hasDiverged],
        [TEXT.slice(had), false, false],
      )
      assert.deepEqual(bench.delivery.sum, { bytes: TEXT.length, crc: crc32(TEXT) })
    }),
  )
})

test('what is not the same is noticed before the client gets anything of it', () => {
  const changed = TEXT.indexOf('three') + 1
  for (let had = changed; had <= TEXT.length; had++) {
    const bench = new Bench()
    bench.delivery.expect(echoOf(had))
    bench.pass(other, [2, 5, 9])
    assert.deepEqual([bench.got, bench.delivery.isEchoing, bench.delivery.hasDiverged], ['', true, true], String(had))
  }
})

test('what differs only behind what the client has got is none of its business', () => {
  const bench = new Bench()
  bench.delivery.expect(echoOf(4))
  bench.pass(other, [2, 5, 9])
  assert.deepEqual([bench.got, bench.delivery.hasDiverged], ['two THREE four five six', false])
})

test('an answer that is over too early is not the same', () => {
  const bench = new Bench()
  bench.delivery.expect(echoOf(9))
  bench.delivery.forward(source, 0, 7)
  bench.delivery.fallShort()
  bench.delivery.forward(source, 7, 20)
  assert.deepEqual([bench.got, bench.delivery.hasDiverged], ['', true])
  bench.delivery.forget()
  bench.pass(source, [])
  assert.equal(bench.got, TEXT)
})

test('beyond the limit there is no checksum, and from the next beginning on there is one again', () => {
  const bench = new Bench(10)
  bench.delivery.forward(source, 0, 10)
  assert.deepEqual(bench.delivery.sum, { bytes: 10, crc: crc32(TEXT.slice(0, 10)) })
  bench.delivery.forward(source, 10, 11)
  assert.equal(bench.delivery.sum, null)
  bench.delivery.begin()
  bench.delivery.forward(source, 0, 3)
  assert.deepEqual(bench.delivery.sum, { bytes: 3, crc: crc32('one') })
})

test('without a limit nothing is summed', () => {
  const bench = new Bench(0)
  bench.pass(source, [3])
  assert.equal(bench.delivery.sum, null)
})
