import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

/** Somebody else decides which of them is the primary. */
const bed = await ContinuityBed.open({ failover: { mode: 'follow' }, timeouts: { query_wait: '20s' } }, 1)
const [first, second] = ['shard-1', 'shard-2'] as const
await bed.on(first)('CREATE TABLE written (id text NOT NULL)')

async function reasonOf(shard: string): Promise<string> {
  return (await bed.shown()).find(({ name }) => name === shard)?.reason ?? ''
}

test('the primary is lost, a RELOAD comes, somebody promotes a replica: who waits goes on there', async () => {
  const [client, resting] = [await bed.open(), await bed.open()]
  await resting.query(`SET app.tenant = 'seven'`)
  await bed.driver.fence(first)
  await waitUntil('it to be known', async () => (await bed.shown()).find(({ name }) => name === first)?.up === false)
  client.send(wire.query(`INSERT INTO written VALUES ('waited') RETURNING pg_is_in_recovery()`))
  await bed.command('RELOAD')
  assert.ok(await client.staysSilent(100))
  await bed.on(second)('SELECT pg_promote()')
  assert.equal(onlyValue(await client.until('Z')), 'f')
  assert.equal(await bed.primary(), second)
  assert.equal(onlyValue(await resting.query(`SELECT current_setting('app.tenant')`)), 'seven')
  client.close()
  resting.close()
})

test('the old primary comes back as one: nothing is sent to it, and who is the primary stays so, even while it is away', async () => {
  const client = await bed.open()
  await bed.driver.start(first)
  await waitUntil('it to be seen', async () =>
    /was replaced by shard-2, whose timeline is 2/.test(await reasonOf(first)),
  )
  for (let turn = 0; turn < 5; turn++)
    assert.deepEqual(sqlstatesOf(await client.query(`INSERT INTO written VALUES ('there')`)), [])
  await bed.driver.fence(second)
  client.send(wire.query(`INSERT INTO written VALUES ('away')`))
  await waitUntil('it to be known', async () => (await bed.shown()).find(({ name }) => name === second)?.up === false)
  assert.ok(await client.staysSilent(200))
  await bed.driver.start(second)
  assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  const count = async (shard: string): Promise<unknown> =>
    (await bed.on(shard)('SELECT count(*)::int AS n FROM written'))[0]?.n
  assert.deepEqual([await count(first), await count(second)], [0, 7])
  client.close()
})

test('the old primary is there and the new one is not when control starts: nothing is sent to it, until that one is there or an operator says so', async () => {
  const client = await bed.open()
  /** What another console of whichever control process there is says of a shard. */
  const shown = async (shard: string): Promise<{ up: boolean; reason: string }> => {
    const console = await openConsole(bed.router)
    try {
      const { rows } = await console.query('SHOW SHARDS')
      return rows.find(({ name }) => name === shard)
    } finally {
      await console.end()
    }
  }
  const withoutTheNewOne = async (): Promise<void> => {
    await bed.driver.stop(second)
    const { control } = bed.router.pids
    process.kill(control, 'SIGKILL')
    await waitUntil('another control that has seen it', async () => {
      const { reason } = await shown(first)
      return (
        bed.router.pids.control !== control &&
        /^it was replaced: timeline 2 was seen at shard-2 \(its own: 1\)/.test(reason)
      )
    })
  }
  await withoutTheNewOne()
  client.send(wire.query(`INSERT INTO written VALUES ('there again')`))
  assert.ok(await client.staysSilent(300))
  await bed.driver.start(second)
  assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  await withoutTheNewOne()
  client.send(wire.query(`INSERT INTO written VALUES ('given up') RETURNING pg_is_in_recovery()`))
  assert.ok(await client.staysSilent(300))
  writeFileSync(join(bed.router.directory, 'data', 'timelines.json'), '{}')
  const console = await openConsole(bed.router)
  await console.query('RELOAD').finally(() => console.end())
  assert.equal(onlyValue(await client.until('Z')), 'f')
  assert.deepEqual(await bed.on(first)('SELECT id FROM written'), [{ id: 'given up' }])
  client.close()
})

test('a replica that has come further than the primary shows that this is an old one', async () => {
  const client = await bed.open()
  const directory = bed.shards.find(({ name }) => name === second)?.dataDirectory ?? ''
  writeFileSync(join(directory, 'standby.signal'), '', { mode: 0o666 })
  await bed.driver.start(second)
  await waitUntil('it to be seen', async () => {
    const console = await openConsole(bed.router)
    const { rows } = await console.query('SHOW SHARDS').finally(() => console.end())
    return rows.some(({ name, reason }) => name === first && /timeline 2 was seen at shard-2/.test(reason))
  })
  client.send(wire.query(`INSERT INTO written VALUES ('promoted') RETURNING pg_is_in_recovery()`))
  assert.ok(await client.staysSilent(200))
  await bed.on(second)('SELECT pg_promote()')
  assert.equal(onlyValue(await client.until('Z')), 'f')
  assert.equal((await bed.on(first)('SELECT count(*)::int AS n FROM written'))[0]?.n, 1)
  client.close()
})
