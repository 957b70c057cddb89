import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { TestCluster } from '../support/postgres-cluster.ts'
import { RouterProcess } from '../support/router-process.ts'
import { baseSettings } from '../support/router-settings.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

// A cluster of its own, for this file stops one of its shards.
const cluster = await TestCluster.start(2)
const role = await cluster.createRole()
const database = await cluster.createDatabase(role.user)
const { primary, replicas } = cluster.coordinates
// Replicas first, so that the primary is not found by being first.
const shards = [
  { name: 'east', ...replicas[0]! },
  { name: 'west', ...primary },
  { name: 'north', ...replicas[1]! },
]
const router = await RouterProcess.start(baseSettings(shards, cluster.superuser, [role]))
const console = await openConsole(router)
after(async () => {
  await console.end()
  await router.stop()
  await cluster.close()
})

const open = () => WireClient.open(router, { ...role, database })

test('the roles of the shards are found by asking them, wherever they stand in the file', async () => {
  const { rows } = await console.query('SHOW SHARDS')
  assert.deepEqual(Object.fromEntries(rows.map((row) => [row.name, row.role])), {
    east: 'replica',
    west: 'primary',
    north: 'replica',
  })
  assert.ok(rows.every((row) => row.up === true || row.up === 't'))
})

test('every transaction goes to the primary, whatever it does', async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, open))
  for (const client of clients) {
    assert.equal(onlyValue(await client.query('SELECT pg_is_in_recovery()')), 'f')
    assert.equal(
      onlyValue(await client.exchange(wire.extendedQuery('SELECT inet_server_port()'))),
      String(primary.port),
    )
    await client.query('BEGIN READ ONLY')
    assert.equal(onlyValue(await client.query('SELECT pg_is_in_recovery()')), 'f')
    await client.query('COMMIT')
  }
  assert.deepEqual(sqlstatesOf(await clients[0]!.query('CREATE TABLE written (x int)')), [])
  for (const client of clients) await client.goodbye()
  const rows = (await console.query('SHOW SERVERS')).rows.filter((server) => server.addr !== 'console')
  assert.deepEqual(new Set(rows.map((row) => row.port)), new Set([primary.port]))
})

test('a replica that is lost is shown as down and disturbs nobody', async () => {
  const client = await open()
  process.kill(cluster.postmasters[1]!, 'SIGINT')
  await waitUntil('the replica to be seen as down', async () => {
    const { rows } = await console.query('SHOW SHARDS')
    return rows.some((shard) => shard.name === 'east' && !(shard.up === true || shard.up === 't'))
  })
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  await client.goodbye()
})
