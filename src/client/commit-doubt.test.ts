import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CommitMark } from '../continuity/commit-outcome.ts'
import { openPlane } from '../plane/plane.fixture.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { ERROR } from './client-host.ts'
import { CommitDoubt } from './commit-doubt.ts'
import type { RetainedTransaction } from './run-again.ts'

const MARK: CommitMark = { xid: 700n, lsn: 0x1000n, timeline: 1 }
/** The connection that died was a second old. */
const AGE_MS = 1000
const RETAINED = {} as RetainedTransaction

/** What a server says of transaction 700 that has been up for a minute, or so long. */
const says = (status: string, upMs = 60_000): Rows => [[status, '00000001', '0/0', '0', null, String(upMs)]]

/** A doubt about that transaction, and all that comes of it. */
function open(
  t: TestContext,
  { retained = null as RetainedTransaction | null, mayReplay = true, queryWaitMs = 0 } = {},
) {
  const plane = openPlane(t, { queryWaitMs })
  const story: string[] = []
  const asked: string[] = []
  const session = {
    slot: 0,
    host: plane.plane,
    resume: () => void story.push('resumes'),
    refuseCommit: ({ sqlstate, detail }: ErrorFields) => void story.push(`${sqlstate} ${detail}`),
    replay: () => {
      story.push('replays')
      return mayReplay
    },
  }
  /** As far as it is asked. */
  const server = (isAlive = true): ServerConnection => {
    const inquire = (sql: string): boolean => asked.push(sql) > 0 && isAlive
    const lose = (): void => void story.push('the server is lost')
    return { relay: { questions: { inquire } }, link: { failure: 'gone' }, lose } as unknown as ServerConnection
  }
  const doubt = new CommitDoubt(session, MARK, AGE_MS, retained)
  const counted = (field: 'commitsConfirmed' | 'commitsAborted' | 'commitsUnknown'): number =>
    plane.plane.record.get(field)
  return { plane, story, asked, session, server, doubt, counted }
}

test('a COMMIT that the server knows of is confirmed, and the client’s goes to an empty transaction', (t) => {
  const { doubt, story, asked, server, counted } = open(t)
  assert.equal(doubt.mustAwait(server()), true)
  assert.match(asked.join(), /700/)
  assert.equal(doubt.mustAwait(server()), true, 'nothing may be sent before the answer')
  assert.equal(asked.length, 1)
  assert.equal(doubt.onInquired(says('committed')), true)
  assert.deepEqual([story, doubt.isCommitted, counted('commitsConfirmed')], [['resumes'], true, 1])
  assert.equal(doubt.mustAwait(server()), false)
  assert.equal(doubt.onInquired(says('committed')), false, 'no question of its own is open')
})

test('a server that came up while it was asked again and again may mean another transaction', (t) => {
  const { plane, doubt, story, server } = open(t)
  doubt.mustAwait(server())
  doubt.onInquired(says('in progress'))
  plane.pass(20_000)
  doubt.mustAwait(server())
  doubt.onInquired(says('committed', 15_000))
  assert.match(story.join(), /08007 the server may have crashed/)
})

test('one that was rolled back is run again if that may be, else the client is told to', (t) => {
  for (const [retained, mayReplay, expected] of [
    [RETAINED, true, ['replays']],
    [RETAINED, false, ['replays', '40001 the server has rolled it back']],
    [null, true, ['40001 the server has rolled it back']],
  ] as const) {
    const { plane, doubt, story, server, counted } = open(t, { retained, mayReplay })
    doubt.mustAwait(server())
    doubt.onInquired(says('aborted'))
    plane.pass(70_000)
    assert.deepEqual([story, doubt.isCommitted, counted('commitsAborted')], [expected, false, 1])
    assert.equal(doubt.mustAwait(server()), false, 'it is over')
  }
})

test('one that is still under way is asked about again after a moment', (t) => {
  const { plane, doubt, story, asked, server } = open(t)
  doubt.mustAwait(server())
  assert.equal(doubt.onInquired(says('in progress')), true)
  assert.equal(doubt.mustAwait(server()), true)
  plane.pass(100)
  assert.deepEqual(story, ['resumes'])
  assert.equal(doubt.mustAwait(server()), true)
  assert.equal(asked.length, 2)
  doubt.onInquired(says('committed'))
  assert.equal(doubt.isCommitted, true)
})

test('a server that cannot be asked five times leaves the outcome unknown', (t) => {
  const { plane, doubt, story, server, counted } = open(t)
  for (let failure = 1; failure <= 5; failure++) {
    assert.equal(counted('commitsUnknown'), 0)
    doubt.mustAwait(server())
    doubt.onInquired(null)
    plane.pass(100)
  }
  assert.equal(story.at(-1), '08007 the server cannot be asked')
  assert.deepEqual([story.length, counted('commitsUnknown')], [5, 1])
})

for (const [title, queryWaitMs, limit] of [
  ['timeouts.query_wait', 3000, 3000],
  ['a minute, where that has no limit', 0, 60_000],
] as const) {
  test(`nobody waits for an answer for longer than ${title}`, (t) => {
    const { plane, doubt, story, server, counted } = open(t, { queryWaitMs })
    doubt.mustAwait(server())
    plane.pass(limit - 100)
    assert.deepEqual(story, [])
    plane.pass(200)
    assert.deepEqual([story, counted('commitsUnknown')], [['08007 the server did not answer in time'], 1])
    assert.equal(doubt.onInquired(says('committed')), false)
  })
}

test('a server that dies with the question is lost, and the next one is asked', (t) => {
  const { doubt, story, asked, server } = open(t)
  doubt.mustAwait(server(false))
  assert.deepEqual(story, ['the server is lost'])
  doubt.onServerLost()
  assert.equal(doubt.onInquired(says('committed')), false)
  doubt.mustAwait(server())
  assert.equal(asked.length, 2)
})

test('what is decided stays so when that server connection is lost', (t) => {
  const { doubt, asked, server } = open(t)
  doubt.mustAwait(server())
  doubt.onInquired(says('committed'))
  doubt.onServerLost()
  assert.deepEqual([doubt.mustAwait(server()), doubt.isCommitted, asked.length], [false, true, 1])
})

test('whoever waits no longer is told that the outcome is unknown, unless it is known', (t) => {
  const why = ERROR('57014', 'canceling statement due to user request')
  const { plane, doubt, story, server, counted } = open(t)
  doubt.mustAwait(server())
  const told = doubt.giveUp(why)
  assert.deepEqual([told.sqlstate, told.detail, counted('commitsUnknown')], ['08007', why.message, 1])
  assert.equal(doubt.giveUp(why), why)
  plane.pass(70_000)
  assert.deepEqual(story, [], 'no deadline is left')
  const known = open(t)
  known.doubt.mustAwait(known.server())
  known.doubt.onInquired(says('committed'))
  assert.equal(known.doubt.giveUp(why), why)
})

test('another process goes on with it where it was', (t) => {
  const { doubt, session, server, asked } = open(t)
  assert.deepEqual(doubt.snapshot, { xid: '700', lsn: '4096', timeline: 1, ageMs: AGE_MS, isCommitted: false })
  doubt.mustAwait(server())
  const asking = CommitDoubt.resume(session, doubt.snapshot)
  assert.equal(asking.mustAwait(server()), true)
  assert.equal(asked.length, 2, 'its server connection is gone with the process')
  doubt.onInquired(says('committed'))
  const known = CommitDoubt.resume(session, doubt.snapshot)
  assert.deepEqual([known.isCommitted, known.mustAwait(server())], [true, false])
  asking.stop()
})

test('whether a transaction was committed that has only read is no question', (t) => {
  const { session, server } = open(t)
  const doubt = CommitDoubt.ofReads(session)
  assert.deepEqual([doubt.isCommitted, doubt.mustAwait(server())], [true, false])
})
