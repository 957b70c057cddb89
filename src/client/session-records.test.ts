import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT } from '../memory/client-slots.ts'
import { CLIENT_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { ValueStore } from '../memory/value-store.ts'
import type { ServerCredential } from '../server/server-target.ts'
import { ParameterRegistry } from '../session/parameters.ts'
import { SessionStatements, StatementRegistry } from '../session/prepared-statements.ts'
import { SessionRecords } from './session-records.ts'

const SLOT = 1
const NO_CREDENTIAL: ServerCredential = { scram: null, password: null, md5Hash: null }

/** One plane's memory, and as many processes one after the other as the test wants. */
class Bench {
  readonly store: Buffer
  readonly clients = new Region(new ArrayBuffer(2 * CLIENT_SLOT_BYTES), 0, CLIENT_SLOT_BYTES, 2)

  constructor(storeBytes = 16_384) {
    this.store = Buffer.alloc(storeBytes)
  }

  process() {
    const parameters = new ParameterRegistry()
    const values = new ValueStore(this.store)
    const records = new SessionRecords(values, this.clients, parameters)
    return { parameters, values, records, named: new SessionStatements(new StatementRegistry()) }
  }

  get parametersId(): number {
    return this.clients.i32[SLOT * (CLIENT_SLOT_BYTES >> 2) + CLIENT.parametersId] ?? -1
  }
}

test('the next process reads what the last one knew of a session at rest', () => {
  const bench = new Bench()
  const { parameters, records, named } = bench.process()
  const credential: ServerCredential = {
    scram: { kind: 'keys', clientKey: Buffer.from([1, 2, 250]), serverKey: Buffer.from([3, 4]) },
    password: null,
    md5Hash: null,
  }
  records.identify(SLOT, { user: 'anna', database: 'shop', credential })
  const initial = parameters.of([['TimeZone', 'UTC']])
  const now = parameters.of([
    ['TimeZone', 'Europe/Rome'],
    ['app.tenant', 'ö"\\'],
  ])
  named.add('one', Buffer.from('SELECT 1\0\0\0'))
  named.add('two', Buffer.from([0x53, 0, 0xff, 0]))
  records.remember(SLOT, { initial, parameters: now, transactionLost: false }, named)

  const heir = bench.process()
  const record = heir.records.read(SLOT)
  assert.ok(record !== null)
  assert.deepEqual([record.user, record.database, record.credential], ['anna', 'shop', credential])
  assert.equal(record.initial, heir.parameters.of([['TimeZone', 'UTC']]))
  assert.deepEqual([...record.parameters.values], [...now.values])
  assert.deepEqual(record.statements, [
    ['one', Buffer.from('SELECT 1\0\0\0')],
    ['two', Buffer.from([0x53, 0, 0xff, 0])],
  ])
})

for (const scram of [null, { kind: 'password', password: 'sesame' }] as const) {
  test(`a credential ${scram === null ? 'without SCRAM' : 'with a password'} is the same afterwards`, () => {
    const bench = new Bench()
    const { parameters, records } = bench.process()
    const credential = { scram, password: 'sesame', md5Hash: 'md5abc' }
    records.identify(SLOT, { user: 'a', database: 'b', credential })
    const set = parameters.of([])
    records.remember(SLOT, { initial: set, parameters: set, transactionLost: false }, null)
    assert.deepEqual(bench.process().records.read(SLOT)?.credential, credential)
  })
}

test('statements that were dropped are dropped, and nothing is written when nothing has changed', () => {
  const bench = new Bench()
  const { parameters, values, records, named } = bench.process()
  records.identify(SLOT, { user: 'a', database: 'b', credential: NO_CREDENTIAL })
  const state = { initial: parameters.of([]), parameters: parameters.of([]), transactionLost: false }
  named.add('gone', Buffer.from('x'))
  named.add('kept', Buffer.from('y'))
  records.remember(SLOT, state, named)
  named.delete('gone')
  records.remember(SLOT, state, named)
  assert.deepEqual(bench.process().records.read(SLOT)?.statements, [['kept', Buffer.from('y')]])
  const { used } = values
  records.remember(SLOT, state, named)
  assert.equal(values.used, used)
  named.clear()
  records.remember(SLOT, state, named)
  assert.deepEqual(bench.process().records.read(SLOT)?.statements, [])
})

test('a session that cannot be rebuilt has no record: a lost transaction, a server connection for life, a full store', () => {
  const bench = new Bench(512)
  const { parameters, records, named } = bench.process()
  records.identify(SLOT, { user: 'a', database: 'b', credential: NO_CREDENTIAL })
  const set = parameters.of([])
  records.remember(SLOT, { initial: set, parameters: set, transactionLost: false }, null)
  assert.notEqual(bench.process().records.read(SLOT), null)
  records.remember(SLOT, { initial: set, parameters: set, transactionLost: true }, null)
  assert.equal(bench.process().records.read(SLOT), null)
  records.remember(SLOT, { initial: set, parameters: set, transactionLost: false }, null)
  records.remember(SLOT, { initial: null, parameters: null, transactionLost: false }, null)
  assert.equal(bench.parametersId, 0)
  named.add('long', Buffer.alloc(1000))
  records.remember(SLOT, { initial: set, parameters: set, transactionLost: false }, named)
  assert.equal(bench.process().records.read(SLOT), null)
})
