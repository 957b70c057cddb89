import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credentials } from '../support/postgres-cluster.ts'
import { Testbed } from '../support/testbed.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

let service: Credentials | undefined
const bed = await Testbed.open({
  routerOnly: true,
  settings: async ({ cluster, database }) => {
    service = await cluster.createRole()
    return {
      databases: {
        shop: { name: database },
        shared: { name: database, user: service.user, password: service.password },
        broken: { name: 'there_is_no_such_database' },
        closed: { name: 'template0' },
        refused: { name: database, user: service.user, password: 'not its password' },
      },
      timeouts: { query_wait: '2s' },
    }
  },
})

const value = async (database: string, sql: string): Promise<string | null> =>
  onlyValue(await (await bed.open({ database })).query(sql))

/** SQLSTATE of a login to a database, or of the first query there. */
async function failure(database: string): Promise<string> {
  try {
    return sqlstatesOf(await (await bed.open({ database })).query('SELECT 1'))[0] ?? 'none'
  } catch (error) {
    return (error as { sqlstate: string }).sqlstate
  }
}

test('a database may have another name on the shards', async () => {
  assert.equal(await value('shop', 'SELECT current_database()'), bed.database)
  assert.equal(await value('shop', 'SELECT session_user'), bed.role.user)
})

test('everybody may be one user on the shards, who is checked here all the same', async () => {
  assert.equal(await value('shared', 'SELECT session_user'), service?.user)
  await assert.rejects(bed.open({ database: 'shared', password: 'wrong' }), { sqlstate: '28P01' })
})

test('a database that is not configured is refused with 3D000, after the password', async () => {
  await assert.rejects(bed.open({ database: 'nonsense' }), { sqlstate: '3D000' })
  await assert.rejects(bed.open({ database: 'nonsense', password: 'wrong' }), { sqlstate: '28P01' })
})

test('a database that the shard does not have: the client is told what the shard says', async () => {
  assert.equal(await failure('broken'), '3D000')
})

test('a database that takes no connections: the client is told so at once', async () => {
  assert.equal(await failure('closed'), '55000')
})

test('a password that the shard does not accept is not shown to the client as its own', async () => {
  assert.match(await failure('refused'), /^(08|28|57)/)
})

test('one bad database does not disturb another', async () => {
  const [one, other] = await Promise.all([failure('broken'), value('shop', 'SELECT 1')])
  assert.equal(one, '3D000')
  assert.equal(other, '1')
})

test('with "*" every name is accepted and is its own name on the shards', async () => {
  const router = await bed.startRouter({ databases: { '*': {} } })
  const client = await bed.connectPg({ host: router.host, port: router.port })
  assert.deepEqual((await client.query('SELECT current_database() AS name')).rows, [{ name: bed.database }])
})
