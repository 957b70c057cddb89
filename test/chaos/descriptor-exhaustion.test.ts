import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const LIMIT = 300

const bed = await Testbed.open({
  routerOnly: true,
  settings: { limits: { max_clients: 5_000 }, pool: { size: 5 } },
  router: { wrapper: ['sh', '-c', `ulimit -n ${LIMIT}; exec "$@"`, 'sh'] },
})

/** Logs in until it is refused; returns who got in and how the first one that did not was turned away. */
async function fill(): Promise<{ clients: WireClient[]; refusal: unknown }> {
  const clients: WireClient[] = []
  for (;;) {
    try {
      clients.push(await bed.open())
    } catch (refusal) {
      return { clients, refusal }
    }
    assert.ok(clients.length <= LIMIT, 'more clients than descriptors')
  }
}

test('the operator is told at the start that max_clients is more than the system allows', () => {
  assert.ok(
    bed.router.log.some((line) => line.includes('max_clients') && line.includes(String(LIMIT))),
    bed.router.tail(40),
  )
})

test('when descriptors run out, new clients are refused with an error, and those that are in go on', async () => {
  const { clients, refusal } = await fill()
  assert.equal((refusal as { sqlstate?: string }).sqlstate, '53300', String(refusal))
  assert.ok(clients.length >= 10, `${clients.length} clients`)
  const answers = await Promise.all(clients.map((client) => client.query('SELECT 1')))
  for (const answer of answers) assert.deepEqual(sqlstatesOf(answer), [])
})

test('connections that say nothing take the place of nobody for long', async () => {
  const silent = await Promise.all(Array.from({ length: LIMIT + 100 }, () => WireClient.connect(bed.router)))
  for (const client of silent) client.close()
  await waitUntil('a client to get in', async () => {
    const client = await bed.open()
    return onlyValue(await client.query('SELECT 1')) === '1'
  })
})

test('after a storm of connections the router is as it was', async () => {
  for (let round = 0; round < 3; round += 1) {
    const storm = await Promise.allSettled(
      Array.from({ length: 2 * LIMIT }, () => WireClient.open(bed.router, bed.login)),
    )
    const inside = storm.filter((result) => result.status === 'fulfilled').map((result) => result.value)
    assert.ok(inside.length > 0, 'nobody got in')
    for (const client of inside) client.close()
  }
  await waitUntil('a client to get in', async () => {
    const client = await bed.open()
    return onlyValue(await client.query('SELECT 1')) === '1'
  })
})
