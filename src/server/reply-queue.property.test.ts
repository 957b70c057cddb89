import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { REPLY, REPLY_RING_BYTES, ReplyQueue, SWALLOW, SYNTHESIZE } from './reply-queue.ts'

const { mark, query, sync, functionCall } = REPLY
const KIND = 0x0f

type Answer = 'complete' | 'error' | 'ready'

/**
 * PostgreSQL's main loop as far as it decides what is answered: after an error in an extended query everything up to
 * the next Sync is ignored, Query and FunctionCall too.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
class ServerModel {
  readonly #requests: { readonly kind: number; readonly fails: boolean }[] = []
  #ignoring = false

  get waiting(): number {
    return this.#requests.length
  }

  send(kind: number, fails: boolean): void {
    this.#requests.push({ kind, fails })
  }

  /** The answers to the next request. */
  step(): Answer[] {
    const request = this.#requests.shift()
    if (request === undefined) return []
    const { kind, fails } = request
    if (kind === sync) {
      this.#ignoring = false
      return fails ? ['error', 'ready'] : ['ready']
    }
    if (this.#ignoring) return []
    if (kind === query || kind === functionCall || kind === mark) return fails ? ['error', 'ready'] : ['ready']
    this.#ignoring = fails
    return [fails ? 'error' : 'complete']
  }
}

const request = fc.record({
  kind: fc.constantFrom(...Object.values(REPLY)),
  flags: fc.constantFrom(0, 0, 0, SWALLOW, SYNTHESIZE),
  fails: fc.integer({ min: 0, max: 9 }).map((one) => one < 2),
})
const step = fc.oneof({ weight: 2, arbitrary: request }, { weight: 1, arbitrary: fc.constant(null) })

/** A router that knows nothing of the server but its answers, and the queue to make sense of them. */
class Conversation {
  readonly queue: ReplyQueue = new ReplyQueue(new Uint8Array(REPLY_RING_BYTES))
  readonly server: ServerModel = new ServerModel()

  request(kind: number, flags: number, fails: boolean): void {
    // As the request relay does: what the server would ignore is not even sent.
    if (this.queue.full || (this.queue.skipping && kind !== sync)) return
    const answersItself =
      flags === SYNTHESIZE && kind !== query && kind !== sync && kind !== functionCall && kind !== mark
    this.queue.push(kind | (flags === SYNTHESIZE && !answersItself ? 0 : flags))
    if (!answersItself) this.server.send(kind, fails)
  }

  serve(): void {
    for (const answer of this.server.step()) this.#answer(answer)
  }

  #answer(answer: Answer): void {
    const { queue } = this
    while ((queue.head & SYNTHESIZE) !== 0) queue.pop()
    assert.ok(queue.length > 0, `${answer}, and nothing is owed`)
    if (answer === 'error') {
      const before = queue.length
      let skipped = 0
      queue.fail((entry) => {
        assert.notEqual(entry & KIND, sync, 'a Sync is never skipped')
        skipped++
      })
      assert.equal(queue.length, before - skipped)
      return
    }
    const kind = queue.pop() & KIND
    const endsWithReady = kind === query || kind === sync || kind === functionCall || kind === mark
    assert.equal(answer === 'ready', endsWithReady, `${answer} for kind ${kind}`)
  }

  finish(): void {
    this.request(sync, 0, false)
    while (this.server.waiting > 0) this.serve()
    assert.equal(this.queue.length, 0)
    assert.equal(this.queue.outstanding, 0)
    assert.equal(this.queue.skipping, false)
  }
}

test('whatever fails and however it is pipelined, each answer is one that is owed, and in the end none is', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const conversation = new Conversation()
      for (const one of steps) {
        if (one === null) conversation.serve()
        else conversation.request(one.kind, one.flags, one.fails)
      }
      while (conversation.queue.full) conversation.serve()
      conversation.finish()
    }),
    { numRuns: 400 },
  )
})

test('pushed and popped in any order, the ring is a queue', () => {
  const entry = fc.integer({ min: 1, max: 8 })
  const moves = fc.array(fc.oneof(entry, fc.constant(null)), { maxLength: 1000, size: 'max' })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: REPLY_RING_BYTES }), moves, (before, all) => {
      const queue = new ReplyQueue(new Uint8Array(REPLY_RING_BYTES))
      for (let turn = 0; turn < before; turn++) {
        queue.push(REPLY.bind)
        queue.pop()
      }
      const model: number[] = []
      for (const move of all) {
        if (move === null) {
          if (model.length > 0) assert.equal(queue.pop(), model.shift())
        } else if (model.length < REPLY_RING_BYTES) {
          queue.push(move)
          model.push(move)
        }
        assert.equal(queue.length, model.length)
        assert.equal(queue.outstanding, model.filter((one) => one <= functionCall).length)
        assert.equal(queue.head, model[0] ?? 0)
      }
    }),
    { numRuns: 50 },
  )
})
