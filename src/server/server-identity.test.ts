import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerIdentity, UNKNOWN_SERVER } from './server-identity.ts'

const identity = (reported: readonly (readonly [string, string])[]): ServerIdentity =>
  new ServerIdentity({ reported: new Map(reported), backendPid: 7, cancelKey: Buffer.from('key') }, 'ada')

test('a setting is found whatever way the server spells it, and only if it is reported', () => {
  const server = identity([['DateStyle', 'ISO']])
  assert.equal(server.reportedName('datestyle'), 'DateStyle')
  assert.equal(server.reportedName('work_mem'), null)
})

test('how settings are put there depends on whom we are there and on the encoding', () => {
  assert.deepEqual(identity([]).dialect, { user: 'ada', isSuperuser: false, isRaw: false })
  const raw = identity([
    ['is_superuser', 'on'],
    ['server_encoding', 'SQL_ASCII'],
  ])
  assert.deepEqual(raw.dialect, { user: 'ada', isSuperuser: true, isRaw: true })
})

test('before the login nothing is known, so nobody can be cancelled', () => {
  assert.deepEqual([UNKNOWN_SERVER.reported.size, UNKNOWN_SERVER.cancelKey.length], [0, 0])
})
