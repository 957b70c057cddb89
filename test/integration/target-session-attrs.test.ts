import assert from 'node:assert/strict'
import { test } from 'node:test'
import postgres from 'postgres'
import { runProgram, skipWithout } from '../support/installed-program.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const skip = skipWithout('psql')
const standby = (database: string): string => `${database}_standby`
const bed = await Testbed.open({
  routerOnly: true,
  replicas: 2,
  settings: ({ cluster, database }) => {
    const { primary, replicas } = cluster.coordinates
    return {
      shards: [
        { name: 'west', ...primary },
        { name: 'east', ...replicas[0]! },
        { name: 'south', ...replicas[1]! },
      ],
      databases: { '*': { group: 'main' }, [standby(database)]: { name: database, role: 'replica' } },
      tiers: { high: { pools: ['primary'] }, medium: { pools: ['primary'] } },
    }
  },
})

const ATTRIBUTES = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const
type Attribute = (typeof ATTRIBUTES)[number]

/** Whether the server that libpq finds is a standby; null: it finds none that it likes. */
async function libpq(database: string, wanted: Attribute, options = ''): Promise<string | null> {
  const { host, port } = bed.address
  const place = { PGHOST: host, PGPORT: String(port), PGDATABASE: database, PGOPTIONS: options }
  const login = { PGUSER: bed.role.user, PGPASSWORD: bed.role.password, PGTARGETSESSIONATTRS: wanted }
  const args = ['-X', '-At', '-c', 'SELECT pg_is_in_recovery()']
  const { status, stdout } = await runProgram('psql', args, { env: { ...place, ...login } })
  return status === 0 ? stdout.trim() : null
}

async function driver(database: string, wanted: Exclude<Attribute, 'any'>): Promise<boolean | null> {
  const { host, port } = bed.address
  const { user, password } = bed.role
  const sql = postgres({ host, port, user, password, database, target_session_attrs: wanted, max: 1, onnotice() {} })
  try {
    const [row] = await Promise.race([
      sql`SELECT pg_is_in_recovery() AS found`,
      new Promise<never>((_, reject) => setTimeout(() => reject(new Error('found none')), 1000)),
    ])
    return row?.found
  } catch {
    return null
  } finally {
    await sql.end({ timeout: 0 })
  }
}

async function replicasUp(): Promise<void> {
  const client = await bed.open({ database: standby(bed.database) })
  await waitUntil('both replicas to have been used', async () => {
    for (let n = 0; n < 4; n++) await client.query('SELECT 1')
    const pools = (await bed.show('POOLS')).filter(({ database }) => database === standby(bed.database))
    return pools.length === 2
  })
}

test('libpq finds what it asks for', { skip }, async () => {
  await replicasUp()
  const found = async (database: string, options?: string): Promise<(string | null)[]> =>
    await Promise.all(ATTRIBUTES.map((wanted) => libpq(database, wanted, options)))
  assert.deepEqual(await found(bed.database), ['f', 'f', null, 'f', null, 'f'])
  const readOnly = '-c default_transaction_read_only=on'
  assert.deepEqual(await found(bed.database, readOnly), ['f', null, 'f', 'f', null, 'f'])
  assert.deepEqual(await found(standby(bed.database)), ['t', null, 't', null, 't', 't'])
})

test('postgres.js too', async () => {
  await replicasUp()
  assert.equal(await driver(bed.database, 'read-write'), false)
  assert.equal(await driver(bed.database, 'primary'), false)
  assert.equal(await driver(standby(bed.database), 'standby'), true)
})

test('where everything runs on replicas nothing can be written, and settings and transactions are as ever', async () => {
  await replicasUp()
  const client = await bed.open({ database: standby(bed.database) })
  assert.equal(client.parameters.get('in_hot_standby'), 'on')
  assert.deepEqual(sqlstatesOf(await client.query('CREATE TABLE never (n int)')), ['25006'])
  await client.query("SET work_mem = '7MB'")
  await client.query('BEGIN')
  assert.equal(onlyValue(await client.query('SHOW work_mem')), '7MB')
  await client.query('COMMIT')
  for (let n = 0; n < 4; n++) assert.equal(onlyValue(await client.query('SHOW work_mem')), '7MB')
})
