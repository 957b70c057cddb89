import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { RouterProcess } from '../support/router-process.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'

const CHANGES = { failover: { mode: 'local' }, timeouts: { server_connect: '500ms' } } as const
const bed = await ContinuityBed.open(CHANGES)

test('two routers before the same servers: one of them replaces a lost primary, the other one follows', async () => {
  const second = await RouterProcess.start(bed.settings)
  try {
    await bothSee(second)
  } finally {
    await second.stop()
  }
})

async function bothSee(second: RouterProcess): Promise<void> {
  const console = await openConsole(second)
  const primaryOf = async (): Promise<string[]> =>
    (await console.query('SHOW SHARDS')).rows.filter(({ role, up }) => role === 'primary' && up).map(({ name }) => name)
  const client = await WireClient.open(second, bed.login)
  const states = async (): Promise<string> =>
    [...(await console.query('SHOW OPERATIONS')).rows, ...(await bed.console.query('SHOW OPERATIONS')).rows]
      .map(({ state }) => state)
      .join()
  for (let round = 0; round < 2; round++) {
    const lost = await bed.primary()
    await waitUntil('both to agree', async () => (await primaryOf()).join() === lost)
    process.kill(await bed.pid(lost), 'SIGKILL')
    await waitUntil('another primary', async () => (await bed.primary()) !== lost, { timeoutMs: 30_000 })
    const primary = await bed.primary()
    assert.equal(onlyValue(await client.query('SELECT pg_is_in_recovery()', 30_000)), 'f')
    await waitUntil('the others to follow it', async () => (await bed.streaming(primary)).length === 2, {
      timeoutMs: 40_000,
    })
    await waitUntil('both to agree', async () => (await primaryOf()).join() === primary, { timeoutMs: 30_000 })
    const timeline = await bed.on(primary)('SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline')
    assert.equal(Number.parseInt(String(timeline[0]?.timeline), 16), round + 2, 'there was one promotion')
    // Once for each loss, whichever of them did it.
    const wanted = Array.from({ length: round + 1 }, () => 'done').join()
    await waitUntil('it to be over', async () => (await states()) === wanted, { timeoutMs: 30_000 })
  }
  client.close()
  await console.end()
}
