import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { writeCancelRequest, writeStartup } from './messages.ts'
import { parseStartup, parseStartupOptions } from './startup.ts'
import { MessageWriter } from './writer.ts'

const limits = { bytes: 10_000, parameters: 100 }
const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => value.replaceAll('\0', ''))
const packet = fc
  .uniqueArray(
    fc.tuple(
      text.filter((one) => one !== ''),
      text,
    ),
    { maxLength: 6, selector: ([one]) => one },
  )
  .map((parameters) => {
    const writer = new MessageWriter()
    writeStartup(writer, 0, parameters)
    return Buffer.from(writer.bytes)
  })
const around = fc.uint8Array({ maxLength: 16 }).map((bytes) => Buffer.from(bytes))

test('a packet that has not come whole is incomplete, wherever it is cut', () => {
  fc.assert(
    fc.property(packet, around, (whole, before) => {
      const bytes = Buffer.concat([before, whole])
      for (let end = 0; end < whole.length; end++) {
        const cut = parseStartup(bytes, before.length, before.length + end, limits)
        assert.equal(cut.kind, 'incomplete', `cut at ${end} of ${whole.length}`)
      }
    }),
  )
})

test('a packet whose length says less than it holds is invalid', () => {
  fc.assert(
    fc.property(packet, (whole) => {
      for (let total = 0; total < whole.length; total++) {
        const lying = Buffer.from(whole)
        lying.writeUInt32BE(total, 0)
        const seen = parseStartup(lying, 0, lying.length, limits)
        assert.ok(seen.kind === 'invalid' && seen.sqlstate === '08P01', `${seen.kind} at ${total} of ${whole.length}`)
      }
    }),
  )
})

test('what follows a packet does not change what it says', () => {
  fc.assert(
    fc.property(packet, around, around, (whole, before, behind) => {
      const alone = parseStartup(whole, 0, whole.length, limits)
      const bytes = Buffer.concat([before, whole, behind])
      assert.deepEqual(parseStartup(bytes, before.length, bytes.length, limits), alone)
      assert.equal(alone.total, whole.length)
    }),
  )
})

test('arbitrary bytes never throw, and a packet never claims more bytes than there are', () => {
  const code = fc.constantFrom(80877102, 80877103, 80877104, 196608, 196610, 0x20000, 0)
  const plausible = fc.tuple(fc.integer({ min: 0, max: 80 }), code, around, around).map(([length, kind, a, b]) => {
    const head = Buffer.alloc(8)
    head.writeUInt32BE(length, 0)
    head.writeUInt32BE(kind, 4)
    return Buffer.concat([head, a, b])
  })
  const garbage = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.oneof(garbage, plausible), (bytes) => {
      const seen = parseStartup(bytes, 0, bytes.length, limits)
      if (seen.kind !== 'incomplete' && seen.kind !== 'invalid') {
        assert.ok(seen.total >= 8 && seen.total <= bytes.length)
      }
    }),
    { numRuns: 1000 },
  )
})

test('a cancel key is kept when the buffer it came in is used for something else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 256 }), (key) => {
      const writer = new MessageWriter()
      writeCancelRequest(writer, 7, key)
      const bytes = Buffer.from(writer.bytes)
      const seen = parseStartup(bytes, 0, bytes.length, limits)
      bytes.fill(0)
      assert.ok(seen.kind === 'cancel')
      assert.deepEqual(seen.key, Buffer.from(key))
    }),
  )
})

test('settings escaped as libpq wants them come back as they were', () => {
  const escaped = (value: string): string => value.replaceAll(/[\\\s]/g, (char) => `\\${char}`)
  const name = fc.stringMatching(/^[a-z][a-z_.]{0,10}$/)
  const value = fc.string({ unit: 'binary-ascii', maxLength: 12 })
  const settings = fc.uniqueArray(fc.tuple(name, value), { maxLength: 5, selector: ([one]) => one })
  const form = fc.constantFrom(
    (word: string) => `-c ${word}`,
    (word: string) => `-c${word}`,
    (word: string) => `--${word}`,
  )
  fc.assert(
    fc.property(settings, form, fc.constantFrom(' ', '  ', '\t', '\n '), (pairs, write, gap) => {
      const options = pairs.map(([one, of]) => write(escaped(`${one}=${of}`))).join(gap)
      assert.deepEqual(parseStartupOptions(options), new Map(pairs))
    }),
  )
})

test('arbitrary options are settings or refused, never an exception', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('-', 'c', '=', ' ', '\\', 'a', 'é'), maxLength: 24 }), (options) => {
      const settings = parseStartupOptions(options)
      for (const name of settings?.keys() ?? []) assert.ok(name !== '' && !name.includes('-'))
    }),
    { numRuns: 1000 },
  )
})
