import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { STEP_LOG_BYTES, StepLog } from '../memory/step-log.ts'
import { type LinkBench, openLinkOf, openRingIfAllowed, openTcpPair, TestLinkHost } from './link-host.fixture.ts'
import type { ReceiveQueue } from './read-ahead.ts'
import type { SendQueue } from './send-batch.ts'
import type { SubmissionRing } from './submission-ring.ts'

/** A ring that remembers how many receives each of its calls made, and what else was so at that moment. */
class WatchedRing implements SendQueue, ReceiveQueue {
  readonly results: Int32Array
  readonly receives: ReceiveQueue = this
  readonly calls: number[] = []
  atCall: () => void = () => {}
  readonly #ring: SubmissionRing
  #queued = 0

  constructor(ring: SubmissionRing) {
    this.#ring = ring
    this.results = ring.results
  }

  send(fd: number, address: number, bytes: number, flags: number): number {
    return this.#ring.send(fd, address, bytes, flags)
  }

  receive(fd: number, address: number, bytes: number, flags: number): number {
    this.#queued++
    return this.#ring.receive(fd, address, bytes, flags)
  }

  submit(): void {
    if (this.#queued > 0) {
      this.calls.push(this.#queued)
      this.atCall()
    }
    this.#queued = 0
    this.#ring.submit()
  }
}

interface Bench {
  readonly host: TestLinkHost
  readonly ring: WatchedRing
  readonly log: StepLog
  readonly links: readonly LinkBench[]
}

/** Some links of one host, over TCP. Null where io_uring is not allowed. */
function open(t: TestContext, count: number): Bench | null {
  const allowed = openRingIfAllowed()
  if (allowed === null) return null
  const ring = new WatchedRing(allowed)
  const log = new StepLog(Buffer.alloc(STEP_LOG_BYTES))
  log.begin()
  const host = new TestLinkHost(undefined, ring, log)
  t.after(() => host.close())
  return { host, ring, log, links: Array.from({ length: count }, () => openLinkOf(t, host, openTcpPair())) }
}

/** Runs with a ring; says so where there can be none. */
function withLinks(name: string, count: number, run: (bench: Bench) => void): void {
  test(name, (t) => {
    const bench = open(t, count)
    if (bench === null) t.skip('io_uring is not allowed here')
    else run(bench)
  })
}

/** Everybody has sent a text of his own, and all of it is there. */
function sendAll({ links }: Bench, texts: readonly string[]): void {
  for (const [at, { peer }] of links.entries()) peer.send(texts[at] as string)
}

const texts = ({ links }: Bench): readonly string[] => links.map(({ owner }) => owner.text)

withLinks('what several events want to read is read with one call, and counted in the slots', 2, (bench) => {
  sendAll(bench, ['one', 'two!'])
  assert.equal(bench.host.turn(), 2)
  assert.deepEqual([bench.ring.calls, texts(bench)], [[2], ['one', 'two!']])
  assert.deepEqual(
    bench.links.map(({ owner }) => owner.bytesRead),
    [3, 4],
  )
  assert.equal(bench.host.turn(), 0)
})

withLinks('one event by itself, and a link that would not read, are not read ahead', 2, (bench) => {
  const [one, two] = bench.links as [LinkBench, LinkBench]
  one.peer.send('alone')
  bench.host.turn()
  two.owner.isReading = false
  sendAll(bench, ['more', 'two'])
  bench.host.turn()
  assert.deepEqual([bench.ring.calls, texts(bench)], [[], ['alonemore', 'two']])
})

withLinks('more events than are announced at once are all served', 5, (bench) => {
  sendAll(bench, ['1', '2', '3', '4', '5'])
  assert.equal(bench.host.turn(), 5)
  // The host of this test has four buffers.
  assert.deepEqual(
    [bench.ring.calls, texts(bench)],
    [
      [3, 2],
      ['1', '2', '3', '4', '5'],
    ],
  )
})

withLinks('who does not read at its event is given what was read for it, once', 2, (bench) => {
  const [, two] = bench.links as [LinkBench, LinkBench]
  const { onReadable } = two.owner
  two.owner.onReadable = () => {}
  sendAll(bench, ['one', 'two'])
  bench.host.turn()
  two.owner.onReadable = onReadable
  two.peer.send('and more')
  bench.host.turn()
  assert.deepEqual(texts(bench), ['one', '!twoand more'])
  assert.equal(two.owner.bytesRead, 11)
})

withLinks('a commit between two events gives the second what was read for it', 2, (bench) => {
  const [one, two] = bench.links as [LinkBench, LinkBench]
  const { onReadable } = one.owner
  /** Whether what is being used is somewhere else afterwards. */
  const moved: boolean[] = []
  one.owner.onReadable = () => {
    onReadable.call(one.owner)
    const { inbound } = bench.host
    bench.host.sends.flush()
    moved.push(bench.host.inbound !== inbound)
  }
  sendAll(bench, ['one', 'two'])
  bench.host.turn()
  two.peer.send('three')
  bench.host.turn()
  assert.deepEqual(texts(bench), ['one', '!twothree'])
  assert.equal(two.owner.told.filter((word) => word === 'read ahead').length, 1)
  assert.deepEqual(moved, [false])
})

withLinks('what was read for a link that is closed before its event is forgotten', 3, (bench) => {
  const [one, two] = bench.links as [LinkBench, LinkBench, LinkBench]
  one.owner.beforeReading = () => two.owner.link.close()
  sendAll(bench, ['one', 'two', 'three'])
  bench.host.turn()
  assert.deepEqual(texts(bench), ['one', '', 'three'])
  one.owner.beforeReading = () => {}
  sendAll(bench, ['1', '', '3'])
  bench.host.turn()
  assert.deepEqual(texts(bench), ['one1', '', 'three3'])
})

withLinks('an end, and a reset, are told as if nothing had been read ahead', 3, (bench) => {
  const [one, two, three] = bench.links as [LinkBench, LinkBench, LinkBench]
  sendAll(bench, ['one', 'two', 'three'])
  three.owner.link.send(Buffer.from('unread'))
  bench.host.sends.flush()
  // Behind the announcement, so that the reads meet them.
  const fetch = bench.host.readAhead.fetch.bind(bench.host.readAhead)
  bench.host.readAhead.fetch = () => {
    two.peer.end()
    three.peer.close()
    fetch()
  }
  for (let turn = 0; turn < 3; turn++) bench.host.turn()
  assert.deepEqual([one.owner.text, two.owner.text], ['one', 'two'])
  assert.deepEqual([one.owner.ending, two.owner.ending, three.owner.ending !== null], [null, 0, true])
})

withLinks('before each call all of its reads are in the log, and whoever finds it unfinished knows', 6, (bench) => {
  const seen: unknown[] = []
  const mark = bench.links[0]?.owner.link.mark ?? -1
  bench.ring.atCall = () => seen.push([bench.log.wasReading, bench.log.uncommittedReads(mark)])
  sendAll(bench, ['1', '2', '3', '4', '5', '6'])
  bench.host.turn()
  // All links of this test have the same mark. The second call is in a step of its own: there was no room for its reads.
  const reads = [0, 1, 2].map((buffer) => ({ buffer, before: 0 }))
  assert.deepEqual(seen, [
    [true, reads],
    [true, reads],
  ])
  assert.equal(bench.log.wasReading, false)
})
