import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({
  routerOnly: true,
  replicas: 2,
  settings: ({ cluster }) => {
    const { primary, replicas } = cluster.coordinates
    // Replicas first, so that the primary is not found by being first.
    return {
      shards: [
        { name: 'east', ...replicas[0]! },
        { name: 'west', ...primary },
        { name: 'north', ...replicas[1]! },
      ],
    }
  },
})

/** By name: PostgreSQL's booleans come as text or as booleans, depending on the driver. */
async function shardsNow(): Promise<Map<unknown, { role: unknown; up: boolean }>> {
  const rows = await bed.show('SHARDS')
  return new Map(rows.map(({ name, role, up }) => [name, { role, up: up === true || up === 't' }]))
}

test('the roles of the shards are found by asking them, wherever they stand in the file', async () => {
  await waitUntil('all shards to be up', async () => [...(await shardsNow()).values()].every(({ up }) => up))
  const roles = [...(await shardsNow())].map(([name, { role }]) => [name, role])
  assert.deepEqual(Object.fromEntries(roles), { east: 'replica', west: 'primary', north: 'replica' })
})

test('every transaction goes to the primary, whatever it does', async () => {
  const { port } = bed.cluster.primary
  const clients = await bed.openMany(6)
  for (const client of clients) {
    assert.equal(onlyValue(await client.query('SELECT pg_is_in_recovery()')), 'f')
    assert.equal(onlyValue(await client.exchange(wire.extendedQuery('SELECT inet_server_port()'))), String(port))
    await client.query('BEGIN READ ONLY')
    assert.equal(onlyValue(await client.query('SELECT pg_is_in_recovery()')), 'f')
    await client.query('COMMIT')
  }
  assert.deepEqual(sqlstatesOf(await clients[0]!.query('CREATE TABLE written (x int)')), [])
  assert.deepEqual(new Set((await bed.servers()).map((server) => server.port)), new Set([port]))
})

test('a replica that is lost is shown as down and disturbs nobody', async () => {
  const client = await bed.open()
  process.kill(bed.cluster.postmasters[1]!, 'SIGINT')
  await waitUntil('the replica to be seen as down', async () => (await shardsNow()).get('east')?.up === false)
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})
