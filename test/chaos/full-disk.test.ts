import assert from 'node:assert/strict'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { FullDisk } from '../support/full-disk.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const bed = await ContinuityBed.open({ failover: { mode: 'local' }, timeouts: { query_wait: '20s' } }, 1)
const sql = bed.on('shard-1')
const disk = new FullDisk(bed.shards[0]!.dataDirectory, sql)
const skip = hasFullDevice() ? false : 'there is no /dev/full'

function hasFullDevice(): boolean {
  try {
    accessSync('/dev/full', constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Of the process: so often has it been done. */
async function counted(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${bed.router.httpPort}/metrics`)).text()
  return Number(new RegExp(`^switchyard_plane_${name}_total(?:\\{.*\\})? (\\d+)`, 'm').exec(text)?.[1])
}

test('a table that cannot grow: 53100 is passed on as it is, nothing is run again, and everything else goes on', {
  skip,
}, async () => {
  await sql('CREATE TABLE full_one (x int); CREATE TABLE other (x int)')
  const makeRoom = await disk.fillTable('full_one')
  const [client, neighbour] = [await bed.open(), await bed.open()]
  const before = await counted('replays')
  assert.deepEqual(sqlstatesOf(await client.query('INSERT INTO full_one VALUES (1)')), ['53100'])
  await client.query('BEGIN')
  await client.query('INSERT INTO other VALUES (1)')
  assert.deepEqual(sqlstatesOf(await client.query('INSERT INTO full_one VALUES (2)')), ['53100'])
  assert.deepEqual(sqlstatesOf(await client.query('INSERT INTO other VALUES (2)')), ['25P02'])
  assert.equal((await client.query('COMMIT'))[0]?.strings[0], 'ROLLBACK')
  assert.deepEqual(sqlstatesOf(await neighbour.query('INSERT INTO other VALUES (3)')), [])
  assert.equal(onlyValue(await client.query('SELECT count(*) FROM other')), '1')
  assert.deepEqual([before, await counted('replays')], [0, 0])
  makeRoom()
  client.close()
  neighbour.close()
})

/** How often the server has begun anew after a crash. */
function restarts(): number {
  const directory = join(bed.shards[0]!.dataDirectory, '../log')
  const texts = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'))
  return texts.join('').split('all server processes terminated; reinitializing').length - 1
}

test('a log that cannot grow: the server crashes and cannot recover, no replica is promoted, and all go on when there is room', {
  skip,
}, async () => {
  await sql('CREATE TABLE audit (id text NOT NULL)')
  const clients = await Promise.all(Array.from({ length: 4 }, () => bed.open()))
  const [resting, writer, transacting, reader] = clients as [WireClient, WireClient, WireClient, WireClient]
  await resting.query(`SET app.tenant = 'seven'`)
  await transacting.query('BEGIN')
  await transacting.query(`INSERT INTO audit VALUES ('transaction')`)
  const [before, crashes] = [await counted('replays'), restarts()]
  const makeRoom = await disk.fillLog()
  try {
    const told = await writer.query(`INSERT INTO audit VALUES ('alone')`)
    assert.deepEqual([sqlstatesOf(told), told.at(-1)?.body.toString()], [['08007'], 'I'], told.join(' '))
    transacting.send(wire.query('COMMIT'))
    reader.send(wire.query('SELECT 7 FROM audit'))
    // Mostly again and again; where a little room is left, it may also come to wait in its recovery.
    await waitUntil('it to have crashed', () => restarts() > crashes, { timeoutMs: 30_000 })
  } finally {
    makeRoom()
  }
  const [commit, read] = [await transacting.until('Z'), await reader.until('Z')]
  assert.deepEqual([sqlstatesOf(commit), commit[0]?.strings[0]], [[], 'COMMIT'], commit.join(' '))
  assert.deepEqual(sqlstatesOf(read), [])
  const replays = (await counted('replays')) - before
  assert.ok(replays > 0 && replays <= 2, String(replays))
  assert.equal(onlyValue(await resting.query(`SELECT current_setting('app.tenant')`)), 'seven')
  assert.deepEqual(sqlstatesOf(await writer.query(`INSERT INTO audit VALUES ('after')`)), [])
  assert.deepEqual(await sql('SELECT id FROM audit ORDER BY id'), [{ id: 'after' }, { id: 'transaction' }])
  assert.deepEqual((await bed.console.query('SHOW OPERATIONS')).rows, [])
  assert.equal(await bed.primary(), 'shard-1')
  await waitUntil('the replica to stream', async () => (await bed.streaming('shard-1')).join() === 'shard-2')
  for (const client of clients) client.close()
})
