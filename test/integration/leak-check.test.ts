import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeakCheck } from '../support/leak-check.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'

// The check that stands behind every other test has to find what is really there.
const bed = await Testbed.open({ routerOnly: true })

async function startedCheck(): Promise<LeakCheck> {
  const check = new LeakCheck(bed.router, bed.console)
  await check.start()
  return check
}

test('a client that stays is found, with the row that shows it', async () => {
  const check = await startedCheck()
  const client = await WireClient.open(bed.router, bed.login)
  await assert.rejects(check.check(200), new RegExp(`clients 1 instead of 0[^]*${bed.role.user}`))
  client.close()
})

test('a server connection that stays in use is found', async () => {
  const check = await startedCheck()
  const client = await WireClient.open(bed.router, bed.login)
  await client.query('BEGIN')
  await assert.rejects(check.check(200), /busyServers 1 instead of 0/)
  client.close()
})

test('a connection that has not even logged in is found', async () => {
  const check = await startedCheck()
  const client = await WireClient.connect(bed.router)
  await waitUntil('the router to have it', async () => {
    const { rows } = await bed.console.query('SHOW CLIENTS')
    return rows.some((row: Record<string, unknown>) => row.state === 'login')
  })
  await assert.rejects(check.check(200), /instead of/)
  client.close()
})

test('an idle server connection is no leak', async () => {
  const check = await startedCheck()
  const client = await WireClient.open(bed.router, bed.login)
  await client.query('SELECT 1')
  client.close()
  await check.check()
})
