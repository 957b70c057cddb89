import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MalformedMessage, MessageReader } from './reader.ts'

type Step = { readonly take: 'byte' | 'int16' | 'int32' | 'text' } | { readonly take: 'raw'; readonly count: number }

const steps = fc.array(
  fc.oneof(
    fc.constantFrom<Step>({ take: 'byte' }, { take: 'int16' }, { take: 'int32' }, { take: 'text' }),
    fc.integer({ min: -3, max: 12 }).map((count): Step => ({ take: 'raw', count })),
  ),
  { maxLength: 20 },
)

/** What a reader gives for these steps, up to the first that the message is too short for. */
function walk(bytes: Buffer, start: number, end: number, plan: readonly Step[]): unknown[] {
  const reader = new MessageReader(bytes, start, end)
  const seen: unknown[] = []
  for (const step of plan) {
    try {
      if (step.take === 'raw') seen.push(Buffer.from(reader.raw(step.count)))
      else seen.push(reader[step.take]())
      seen.push(reader.position - start, reader.remaining)
    } catch (error) {
      assert.ok(error instanceof MalformedMessage, String(error))
      seen.push(error.message, reader.position - start)
      break
    }
  }
  return seen
}

test('what is read from a message depends on nothing before or behind it', () => {
  const bytes = fc.uint8Array({ maxLength: 40 })
  fc.assert(
    fc.property(bytes, bytes, bytes, steps, (before, message, behind, plan) => {
      const alone = walk(Buffer.from(message), 0, message.length, plan)
      const among = Buffer.concat([before, message, behind])
      assert.deepEqual(walk(among, before.length, before.length + message.length, plan), alone)
    }),
  )
})

test('the position never passes the end, and position and remaining always make the message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), steps, (message, plan) => {
      const reader = new MessageReader(Buffer.from(message), 0, message.length)
      for (const step of plan) {
        try {
          if (step.take === 'raw') assert.equal(reader.raw(step.count).length, step.count)
          else reader[step.take]()
        } catch (error) {
          assert.ok(error instanceof MalformedMessage)
        }
        assert.ok(reader.position >= 0 && reader.position <= message.length)
        assert.equal(reader.position + reader.remaining, message.length)
      }
    }),
  )
})

test('a text that ends behind the message is malformed, although the buffer goes on', () => {
  const bytes = Buffer.from('abc\0def\0', 'latin1')
  assert.throws(() => new MessageReader(bytes, 4, 7).text(), new MalformedMessage('a text in the message has no end'))
  assert.equal(new MessageReader(bytes, 4, 8).text(), 'def')
})

test('numbers are big-endian and signed', () => {
  const reader = new MessageReader(Buffer.from('fffe80000001ff', 'hex'), 0, 7)
  assert.equal(reader.int16(), -2)
  assert.equal(reader.int32(), -2147483647)
  assert.equal(reader.byte(), 255)
  assert.throws(() => reader.byte(), new MalformedMessage('the message is shorter than its fields'))
})
