import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REPLY, REPLY_RING_BYTES, REPLY_RING_FULL, ReplyQueue, SWALLOW, SYNTHESIZE } from './reply-queue.ts'

const { query, sync, functionCall, parse, bind, describe, execute, close } = REPLY

function queueOf(...entries: number[]): ReplyQueue {
  const queue = new ReplyQueue(new Uint8Array(REPLY_RING_BYTES))
  for (const entry of entries) queue.push(entry)
  return queue
}

/** What is left, oldest first; empties the queue. */
function rest(queue: ReplyQueue): number[] {
  const found: number[] = []
  while (queue.length > 0) found.push(queue.pop())
  return found
}

function fail(queue: ReplyQueue): number[] {
  const skipped: number[] = []
  queue.fail((entry) => skipped.push(entry))
  return skipped
}

test('answers come in the order of requests, with their flags', () => {
  const queue = queueOf(query | SWALLOW, parse | SYNTHESIZE, bind, describe, execute, close, sync, functionCall)
  assert.equal(queue.length, 8)
  assert.equal(queue.head, query | SWALLOW)
  assert.equal(queue.headKind, query)
  assert.equal(queue.pop(), query | SWALLOW)
  assert.equal(queue.headKind, parse)
  assert.deepEqual(rest(queue), [parse | SYNTHESIZE, bind, describe, execute, close, sync, functionCall])
})

test('when nothing is owed there is no head, and another answer is one that nobody asked for', () => {
  const queue = queueOf()
  assert.equal(queue.head, 0)
  assert.equal(queue.headKind, 0)
  assert.throws(() => queue.pop(), /nobody asked for/)
  assert.equal(queue.length, 0)
  assert.equal(queue.outstanding, 0)
})

test('a ReadyForQuery is owed for each Query, Sync and FunctionCall, and for nothing else', () => {
  const queue = queueOf(parse, bind, describe, execute, close)
  assert.equal(queue.outstanding, 0)
  for (const entry of [sync, query, functionCall, query | SWALLOW]) queue.push(entry)
  assert.equal(queue.outstanding, 4)
  const owed: number[] = []
  while (queue.length > 0) {
    queue.pop()
    owed.push(queue.outstanding)
  }
  assert.deepEqual(owed, [4, 4, 4, 4, 4, 3, 2, 1, 0])
})

test('a failed Query or FunctionCall still ends with its ReadyForQuery, and what is behind it is answered', () => {
  for (const kind of [query, functionCall, query | SWALLOW]) {
    const queue = queueOf(kind, parse, sync)
    assert.deepEqual(fail(queue), [])
    assert.equal(queue.skipping, false)
    assert.deepEqual(rest(queue), [kind, parse, sync])
  }
})

test('an error in an extended query skips everything up to its Sync', () => {
  const queue = queueOf(parse, bind, describe, execute, sync, parse, bind, execute, sync)
  assert.equal(queue.pop(), parse)
  assert.deepEqual(fail(queue), [bind, describe, execute])
  assert.equal(queue.skipping, false)
  assert.equal(queue.outstanding, 2)
  assert.deepEqual(rest(queue), [sync, parse, bind, execute, sync])
})

test('entries that are skipped are told with their flags, those of ours too', () => {
  const queue = queueOf(parse | SWALLOW, parse | SYNTHESIZE, close | SWALLOW, sync)
  assert.deepEqual(fail(queue), [parse | SWALLOW, parse | SYNTHESIZE, close | SWALLOW])
})

test('an error before the Sync was sent makes everything be skipped until a Sync is', () => {
  const queue = queueOf(parse, bind)
  assert.deepEqual(fail(queue), [parse, bind])
  assert.equal(queue.skipping, true)
  assert.equal(queue.length, 0)
  queue.push(sync)
  assert.equal(queue.skipping, false)
  assert.deepEqual(rest(queue), [sync])
})

test('a Query behind a failed extended query without a Sync is ignored by the server, so it is not waited for', () => {
  const queue = queueOf(parse, query, functionCall, bind)
  assert.equal(queue.outstanding, 2)
  assert.deepEqual(fail(queue), [parse, query, functionCall, bind])
  assert.equal(queue.outstanding, 0)
  assert.equal(queue.skipping, true)
})

test('an error of the Sync itself, as of a deferred constraint, skips nothing behind it', () => {
  const queue = queueOf(sync, parse, sync)
  assert.deepEqual(fail(queue), [])
  assert.equal(queue.skipping, false)
  assert.deepEqual(rest(queue), [sync, parse, sync])
})

test('Syncs that are read while copying in are forgotten, everything else stays in order', () => {
  const queue = queueOf(execute, sync, close, sync | SWALLOW, query)
  assert.equal(queue.beginCopyIn(), true)
  assert.equal(queue.outstanding, 1)
  assert.deepEqual(rest(queue), [execute, close, query])
})

/** What is owed once the request at the head copies in; `done` stands for CopyDone. */
function owedInCopy(...sent: readonly (number | 'done')[]): { copying: boolean; kinds: readonly number[] } {
  const queue = queueOf()
  for (const one of sent) {
    if (one === 'done') queue.endCopyEarly()
    else queue.push(one)
  }
  const copying = queue.beginCopyIn()
  return { copying, kinds: rest(queue).map((entry) => entry & 0x0f) }
}

test('a Sync behind CopyDone counts, although both were sent before the server said that it copies in', () => {
  assert.deepEqual(owedInCopy(execute, 'done', sync), { copying: false, kinds: [execute, sync] })
  assert.deepEqual(owedInCopy(execute, sync, 'done', sync), { copying: false, kinds: [execute, sync] })
  assert.deepEqual(owedInCopy(query, 'done', sync, query), { copying: false, kinds: [query, sync, query] })
  assert.deepEqual(owedInCopy(execute, 'done'), { copying: false, kinds: [execute] })
})

test('the CopyDone of an earlier COPY does not end a later one', () => {
  assert.deepEqual(owedInCopy('done', execute, sync), { copying: true, kinds: [execute] })
  assert.deepEqual(owedInCopy(execute, 'done', execute, sync), { copying: false, kinds: [execute, execute, sync] })
  const queue = queueOf(execute)
  queue.endCopyEarly()
  queue.push(execute)
  queue.push(sync)
  assert.equal(queue.beginCopyIn(), false)
  queue.pop()
  assert.equal(queue.beginCopyIn(), true)
  assert.deepEqual([queue.length, queue.outstanding], [1, 0])
})

test('an extended query is unfinished until its Sync', () => {
  const queue = queueOf()
  assert.equal(queue.unfinished, false)
  for (const [entry, unfinished] of [
    [parse, true],
    [execute, true],
    [sync, false],
    [close | SWALLOW, true],
    [query, false],
    [functionCall, false],
    [bind, true],
  ] as const) {
    queue.push(entry)
    assert.equal(queue.unfinished, unfinished)
  }
  rest(queue)
  assert.equal(queue.unfinished, true, 'all of it answered')
  queue.push(sync)
  assert.equal(queue.unfinished, false)
  queue.push(parse)
  queue.clear()
  assert.equal(queue.unfinished, false)
})

test('after clear nothing is owed and nothing is skipped', () => {
  const queue = queueOf(parse)
  fail(queue)
  queue.push(parse)
  queue.push(query)
  queue.clear()
  assert.deepEqual([queue.length, queue.outstanding, queue.head, queue.skipping], [0, 0, 0, false])
  fail(queue)
  queue.clear()
  assert.equal(queue.skipping, false)
})

test('the queue says that it is full while a few more fit, and never takes more than its ring', () => {
  const ring = new Uint8Array(REPLY_RING_BYTES)
  const queue = new ReplyQueue(ring)
  for (let count = 0; count < REPLY_RING_BYTES; count++) {
    assert.equal(queue.full, count >= REPLY_RING_FULL)
    queue.push(bind)
  }
  assert.throws(() => queue.push(bind), /overflow/)
  assert.equal(queue.length, REPLY_RING_BYTES)
  queue.pop()
  queue.push(close)
  assert.equal(rest(queue).at(-1), close)
})

test('what is owed can be read from the ring, which is shared memory', () => {
  const ring = new Uint8Array(REPLY_RING_BYTES)
  const queue = new ReplyQueue(ring)
  queue.push(parse | SWALLOW)
  queue.push(sync)
  assert.deepEqual([...ring.subarray(0, 2)], [parse | SWALLOW, sync])
})

test('what prepares is counted from the last request for a ReadyForQuery on', () => {
  const counts = [
    [parse, bind, close | SWALLOW],
    [parse, sync, bind],
    [sync, parse | SYNTHESIZE, parse],
    [close, query],
  ]
  assert.deepEqual(
    counts.map((entries) => queueOf(...entries).preparing),
    [2, 0, 2, 0],
  )
  const queue = queueOf(parse, parse)
  queue.pop()
  assert.equal(queue.preparing, 1, 'what is answered does not count')
})
