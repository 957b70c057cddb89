import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameReader } from './frame-reader.ts'

test('messages come out whole and in order, however the bytes were cut', () => {
  const message = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 3000 }))
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1 }),
      (messages, cuts) => {
        const stream = Buffer.concat(
          messages.map(([type, body]) => {
            const header = Buffer.alloc(5, type)
            header.writeUInt32BE(4 + body.length, 1)
            return Buffer.concat([header, body])
          }),
        )
        const reader = new FrameReader()
        const seen: (readonly [number, Uint8Array])[] = []
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          const size = cuts[cut % cuts.length] ?? 1
          reader.push(stream.subarray(at, at + size))
          at += size
          for (let frame = reader.next(); frame !== null; frame = reader.next()) {
            seen.push([frame.type, Uint8Array.from(frame.body)])
          }
        }
        assert.deepEqual(seen, messages)
      },
    ),
  )
})
