import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credentials } from '../support/postgres-cluster.ts'
import { uniqueName } from '../support/postgres-cluster.ts'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, shapeOf } from '../support/wire-message.ts'

let walsender: Credentials | undefined
const bed = await Testbed.open({
  settings: async (testbed) => {
    walsender = await testbed.cluster.createRole({ attributes: 'REPLICATION' })
    return { users: testbed.settings({}, [walsender]).users! }
  },
})
walsender ??= await bed.cluster.createRole({ attributes: 'REPLICATION' })
const role = walsender

const open = (replication: string) => bed.open({ ...role, parameters: { replication } })

test('a physical replication session answers the commands of a walsender', async () => {
  const client = await open('true')
  const answer = await client.query('IDENTIFY_SYSTEM')
  const [row] = rowsOf(answer)
  assert.match(row?.[0] ?? '', /^\d+$/, 'system identifier')
  assert.match(row?.[2] ?? '', /^[0-9A-F]+\/[0-9A-F]+$/, 'position in the log')
})

test('a logical replication session takes both commands and SQL', async () => {
  const client = await open('database')
  assert.equal(rowsOf(await client.query('IDENTIFY_SYSTEM')).length, 1)
  assert.equal(onlyValue(await client.query('SELECT current_database()')), bed.database)
})

test('COPY both ways: changes stream out while feedback goes in, until both sides are done', async () => {
  const slot = uniqueName('slot')
  await bed.sql('CREATE TABLE streamed (x int)')
  const client = await open('database')
  const created = await client.query(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY LOGICAL test_decoding`)
  assert.equal(shapeOf(created), 'TDCZ')
  client.send(wire.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0`))
  assert.equal(shapeOf(await client.until('W')), 'W')
  await bed.sql('INSERT INTO streamed VALUES (42)')
  await waitUntil('the insert to arrive', async () => {
    const message = await client.next()
    const [kind, ...rest] = message.body.toString('latin1')
    if (kind === 'k') client.send(wire.copyData(standbyStatus()))
    return rest.join('').includes('INSERT: x[integer]:42')
  })
  client.send(wire.copyDone())
  assert.equal((await client.until('Z')).at(-1)?.body.toString(), 'I')
  assert.equal(rowsOf(await client.query('IDENTIFY_SYSTEM')).length, 1)
})

test('a replication session has a server connection to itself and takes none of the ordinary ones', async () => {
  const session = await open('database')
  await session.query('SELECT 1')
  // One of a session before may still be on its way out.
  await waitUntil('a walsender of its own', async () => {
    const [row] = await bed.sql(
      `SELECT count(*)::int AS walsenders FROM pg_stat_activity WHERE usename = $1 AND backend_type = 'walsender'`,
      [role.user],
    )
    return row?.walsenders === 1
  })
  const ordinary = await bed.open({ ...role })
  assert.equal(
    onlyValue(await ordinary.query('SELECT backend_type FROM pg_stat_activity WHERE pid = pg_backend_pid()')),
    'client backend',
  )
  await session.goodbye()
  await waitUntil('the walsender to be gone', async () => {
    const walsenders = await bed.sql(
      `SELECT 1 FROM pg_stat_activity WHERE usename = $1 AND backend_type = 'walsender'`,
      [role.user],
    )
    return walsenders.length === 0
  })
})

test('a replication client that vanishes in the middle of a stream takes its walsender with it', async () => {
  const client = await open('true')
  const [identity] = rowsOf(await client.query('IDENTIFY_SYSTEM'))
  client.send(wire.query(`START_REPLICATION ${identity?.[2]}`))
  await client.until('W')
  client.reset()
  await waitUntil('the walsender to be gone', async () => {
    const walsenders = await bed.sql('SELECT 1 FROM pg_stat_replication WHERE usename = $1', [role.user])
    return walsenders.length === 0
  })
})

test('a role without the right to replicate is told so by the shard', async () => {
  await assert.rejects(bed.open({ parameters: { replication: 'database' } }), { sqlstate: '42501' })
})

test('a replication session is seen as pinned', { skip: isDirect && 'of the console' }, async () => {
  const client = await open('database')
  await client.query('SELECT 1')
  const row = (await bed.show('CLIENTS')).find((shown) => shown.user === role.user)
  assert.match(String(row?.pinned), /replication/)
})

/** Standby status update: everything up to now is written, flushed and applied; no answer wanted. */
function standbyStatus(): Buffer {
  const message = Buffer.alloc(34)
  message.write('r', 'latin1')
  return message
}
