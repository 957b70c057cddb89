import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame, FrameDecoder } from './frame-codec.ts'

test('frames come out as they went in, however the stream is cut', () => {
  const command = fc.record(
    {
      op: fc.constant('kill' as const),
      id: fc.nat(),
      database: fc.option(fc.string({ unit: 'binary', maxLength: 40 })),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 6 }), fc.array(fc.nat(60), { minLength: 1 }), (commands, sizes) => {
      const stream = Buffer.concat(commands.map(encodeFrame))
      const decoder = new FrameDecoder<unknown>()
      const seen: unknown[] = []
      for (let at = 0, step = 0; at < stream.length; step++) {
        const size = (sizes[step % sizes.length] ?? 0) + 1
        seen.push(...decoder.push(stream.subarray(at, at + size)))
        at += size
      }
      assert.deepEqual(seen, commands)
    }),
  )
})

test('a length that no message has is an error before anything is kept for it', () => {
  const decoder = new FrameDecoder<unknown>()
  assert.throws(() => decoder.push(Buffer.from('GET / HTTP/1.1\r\n')), /a frame of \d+ bytes/)
})
