import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeLine, LineDecoder } from './keeper-control-protocol.ts'

test('lines come out as they went in, however the stream is cut', () => {
  const orders = [
    { op: 'reload' as const },
    { op: 'stop' as const, mode: 'drain' as const, reason: 'two\nlines of “text”' },
  ]
  const stream = orders.map(encodeLine).join('')
  for (let cut = 0; cut <= stream.length; cut++) {
    const decoder = new LineDecoder<unknown>()
    assert.deepEqual([...decoder.push(stream.slice(0, cut)), ...decoder.push(stream.slice(cut))], orders)
  }
})

test('a line that never ends is an error', () => {
  const decoder = new LineDecoder<unknown>()
  assert.throws(() => decoder.push('x'.repeat((1 << 20) + 1)), /a line without an end/)
})

test('something that is no JSON is an error', () => {
  assert.throws(() => new LineDecoder<unknown>().push('hello\n'), SyntaxError)
})
