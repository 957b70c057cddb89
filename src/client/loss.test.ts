import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PIN } from '../memory/client-slots.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { HEADER_BYTES, lengthAt, STATUS } from '../protocol/message-type.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerLoss } from '../server/reply-sink.ts'
import { describeLoss, explainLoss, type LossSituation, type LossVerdict } from './loss.ts'

const LOSS: ServerLoss = { reason: 'recv: ECONNRESET', fields: null, midMessage: false, promised: 0, unfinished: false }
const QUIET: LossSituation = {
  welcoming: false,
  pins: 0,
  status: STATUS.idle,
  outstanding: 0,
  unfinished: false,
  ending: 'none',
  mayHaveWritten: false,
}

/** What the client gets: messages as `type severity sqlstate` or `Z status`; `close …` when it is over. */
function told(verdict: LossVerdict): readonly string[] {
  if (verdict.kind === 'close') {
    const { fields } = verdict
    return [fields === null ? 'close' : `close ${fields.severity} ${fields.sqlstate}`]
  }
  const writer = new MessageWriter()
  explainLoss(writer, verdict)
  const { bytes } = writer
  const list: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + lengthAt(bytes, at + 1)
    const type = String.fromCharCode(bytes[at] as number)
    if (type === 'Z') list.push(`Z ${String.fromCharCode(bytes[at + HEADER_BYTES] as number)}`)
    else {
      const { severity, sqlstate } = readErrorFields(bytes, at + HEADER_BYTES, end)
      list.push(`${type} ${severity} ${sqlstate}`)
    }
    at = end
  }
  return list
}

type Row = readonly [situation: string, Partial<LossSituation>, client: readonly string[], Partial<ServerLoss>?]

const ERROR = 'E ERROR 08006'
const UNKNOWN_COMMIT = 'E ERROR 08007'
const UNKNOWN_WRITE = 'E ERROR 08007'
const { idle, inTransaction, failed } = STATUS
const rows: readonly Row[] = [
  ['idle and holding nothing: nothing is said', {}, []],
  ['a query', { outstanding: 1 }, [ERROR, 'Z I']],
  ['three queries in a pipeline', { outstanding: 3 }, [ERROR, 'Z I', ERROR, 'Z I', ERROR, 'Z I']],
  ['an extended query before its Sync', { unfinished: true }, [ERROR]],
  [
    'an extended query before its Sync, behind one that has it',
    { outstanding: 1, unfinished: true },
    [ERROR, 'Z I', ERROR],
  ],
  ['a query that may write', { outstanding: 1, mayHaveWritten: true }, [UNKNOWN_WRITE, 'Z I']],
  ['one that may write, before its Sync', { unfinished: true, mayHaveWritten: true }, [UNKNOWN_WRITE]],
  ['nothing asked, whatever it was before', { mayHaveWritten: true }, []],
  ['a transaction that asks nothing', { status: inTransaction }, ['N WARNING 08006']],
  ['a failed transaction that asks nothing', { status: failed }, ['N WARNING 08006']],
  ['a query in a transaction', { status: inTransaction, outstanding: 1 }, [ERROR, 'Z E']],
  ['a query in a failed transaction', { status: failed, outstanding: 1 }, [ERROR, 'Z E']],
  ['an extended query in a transaction, before its Sync', { status: inTransaction, unfinished: true }, [ERROR]],
  ['a COMMIT', { status: inTransaction, outstanding: 1, ending: 'commit' }, [UNKNOWN_COMMIT, 'Z I']],
  ['a COMMIT before its Sync', { status: inTransaction, unfinished: true, ending: 'commit' }, [UNKNOWN_COMMIT]],
  [
    'a COMMIT among other queries',
    { status: inTransaction, outstanding: 2, ending: 'commit' },
    [UNKNOWN_COMMIT, 'Z I', UNKNOWN_COMMIT, 'Z I'],
  ],
  ['a ROLLBACK', { status: inTransaction, outstanding: 1, ending: 'rollback' }, [ERROR, 'Z I']],
  ['a ROLLBACK of a failed transaction', { status: failed, outstanding: 1, ending: 'rollback' }, [ERROR, 'Z I']],
  ['a ROLLBACK before its Sync', { status: inTransaction, unfinished: true, ending: 'rollback' }, [ERROR]],
  ['a COMMIT that was answered', { status: idle, ending: 'commit' }, []],
  ['a COMMIT outside of a transaction', { status: idle, outstanding: 1, ending: 'commit' }, [ERROR, 'Z I']],
  ['the login', { welcoming: true }, ['close FATAL 08006']],
  ['the login, with a question to the server', { welcoming: true, outstanding: 1 }, ['close FATAL 08006']],
  ['state that is gone', { pins: PIN.listen, outstanding: 1 }, ['close FATAL 08006']],
  ['state that is gone, in a transaction', { pins: PIN.listen, status: inTransaction }, ['close FATAL 08006']],
  [
    'state that is gone, asked to write',
    { pins: PIN.listen, outstanding: 1, mayHaveWritten: true },
    ['close FATAL 08007'],
  ],
  [
    'state that is gone, behind a COMMIT',
    { pins: PIN.listen, status: inTransaction, outstanding: 1, ending: 'commit' },
    ['close FATAL 08007'],
  ],
  ['the console', { pins: PIN.console }, ['close FATAL 08006']],
  ['half of a row at the client', { outstanding: 1 }, ['close'], { midMessage: true }],
  ['half of a row at a pinned client', { outstanding: 1, pins: PIN.listen }, ['close'], { midMessage: true }],
]

for (const [situation, given, client, loss] of rows) {
  test(`lost with ${situation}: ${client.join(', ') || 'silence'}`, () => {
    assert.deepEqual(told(describeLoss({ ...LOSS, ...loss }, { ...QUIET, ...given })), client)
  })
}

function fieldsOf(given: Partial<LossSituation>, loss: Partial<ServerLoss> = {}) {
  const { fields } = describeLoss({ ...LOSS, ...loss }, { ...QUIET, ...given })
  assert.ok(fields !== null)
  return fields
}

test('a transaction is lost unless it was ending: by COMMIT, then nobody knows, or by ROLLBACK, then it has', () => {
  const lost = (given: Partial<LossSituation>): boolean => {
    const verdict = describeLoss(LOSS, { ...QUIET, ...given })
    assert.ok(verdict.kind === 'continue')
    return verdict.transactionLost
  }
  assert.equal(lost({ outstanding: 1 }), false)
  assert.equal(lost({ status: inTransaction }), true)
  assert.equal(lost({ status: failed, outstanding: 1 }), true)
  assert.equal(lost({ status: inTransaction, outstanding: 1, ending: 'commit' }), false)
  assert.equal(lost({ status: inTransaction, outstanding: 1, ending: 'rollback' }), false)
})

test('the message says what became of the work, and what to do', () => {
  assert.match(fieldsOf({ outstanding: 1 }).message, /while it worked on the query, which has written nothing$/)
  const writing = fieldsOf({ outstanding: 1, mayHaveWritten: true })
  assert.match(writing.message, /while it worked on the query: its outcome is unknown$/)
  assert.match(writing.hint ?? '', /^look whether what it has written is there/)
  assert.match(fieldsOf({ status: inTransaction, outstanding: 1 }).message, /the transaction is rolled back$/)
  const committing = fieldsOf({ status: inTransaction, outstanding: 1, ending: 'commit' })
  assert.match(committing.message, /while the transaction was ending: its outcome is unknown$/)
  assert.match(committing.hint ?? '', /^look whether what it has written is there/)
  assert.equal(fieldsOf({ outstanding: 1 }).hint, 'the client connection is kept; try again')
})

test('the detail is the last word of the server where it has one, else what we saw', () => {
  assert.equal(fieldsOf({ outstanding: 1 }).detail, 'recv: ECONNRESET')
  const fields = { severity: 'FATAL', sqlstate: '57P01', message: 'terminating connection' } as const
  assert.equal(fieldsOf({ outstanding: 1 }, { fields }).detail, 'terminating connection')
  assert.match(
    fieldsOf({ welcoming: true }, { fields }).message,
    /^the server connection was lost: terminating connection$/,
  )
})

test('a pinned client is told which state it lost', () => {
  const { message } = fieldsOf({ pins: PIN.listen | PIN.temporaryObject })
  assert.equal(
    message,
    'the server connection was lost, and with it session state (temporaryObject, listen): recv: ECONNRESET',
  )
})
