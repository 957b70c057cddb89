import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readStatistics, statisticsQuestion } from '../../src/control/learning/backend-statistics.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'

/** What the analyzer finds out about clients beside what they say and do: privileges, and what their server process uses. */
const bed = await Testbed.open({ routerOnly: true, isOnDisk: true })

async function profileOf(application: string): Promise<Record<string, unknown> | undefined> {
  const rows = await bed.show('PROFILES')
  return rows.find((row) => row.application === application)
}

describe('privileges of a client’s user', () => {
  test('are known soon after its first login', async () => {
    const { user } = bed.role
    await bed.sql(`CREATE ROLE ${user}_group; GRANT ${user}_group TO ${user}`)
    try {
      const client = await bed.open({ parameters: { application_name: 'privileged' } })
      const isKnown = async (): Promise<boolean> => (await profileOf('privileged'))?.memberships === 1
      await waitUntil('its membership', isKnown)
      assert.equal((await profileOf('privileged'))?.superuser, 0)
      await client.query('SELECT 1')
    } finally {
      await bed.sql(`DROP ROLE ${user}_group`)
    }
  })
})

test('settings of a session are known as it changes them', async () => {
  const client = await bed.open({ parameters: { application_name: 'changeable' } })
  const said = async (): Promise<string> => (await client.query('SHOW switchyard.profile')).join(' ')
  assert.doesNotMatch(await said(), /a statement_timeout of/)
  await client.query("SET statement_timeout = '7s'; SET default_transaction_read_only = on")
  assert.match(await said(), /a statement_timeout of 7 s.*asked for read-only transactions/)
  await client.query('RESET ALL')
  assert.doesNotMatch(await said(), /a statement_timeout of/)
})

describe('what a server process uses', () => {
  test('shows in the profile of the client whose query it runs', async () => {
    const client = await bed.open({ parameters: { application_name: 'burner' } })
    await client.query('CREATE TABLE burned (n int, t text)')
    const end = Date.now() + 30_000
    let profile: Record<string, unknown> | undefined
    while (Date.now() < end) {
      await client.query("INSERT INTO burned SELECT n, repeat('x', 200) FROM generate_series(1, 100000) n")
      profile = await profileOf('burner')
      if (Number(profile?.backend_cpu) > 0.1 && Number(profile?.backend_write_kb_per_s) > 100) break
    }
    assert.ok(Number(profile?.backend_cpu) > 0.1, JSON.stringify(profile))
    assert.ok(Number(profile?.backend_mb) > 0.5, JSON.stringify(profile))
    assert.ok(Number(profile?.backend_write_kb_per_s) > 100, JSON.stringify(profile))
  })

  test('is known to PostgreSQL itself where the process is out of reach', async () => {
    const writer = await bed.connectPg({ ...bed.cluster.primary, ...bed.cluster.superuser })
    const { rows } = await writer.query('SELECT pg_backend_pid() AS pid')
    const pid = rows[0].pid as number
    const ask = async (): Promise<number> => {
      const { text, values } = statisticsQuestion([pid])
      const answer = await writer.query(text, [...(values ?? [])])
      return readStatistics(answer.rows).get(pid)?.writtenBytes as number
    }
    const before = await ask()
    await writer.query("CREATE TEMP TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    await writer.query('CREATE TABLE u (n int)')
    await writer.query('INSERT INTO u SELECT generate_series(1, 10000)')
    // A server process reports at most once a second, and between transactions.
    await waitUntil('what it wrote', async () => (await ask()) - before > 500_000)
  })
})
