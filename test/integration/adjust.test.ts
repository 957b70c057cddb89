import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { sqlstatesOf } from '../support/wire-message.ts'

const rules = ['high', 'medium', 'low', 'background'].map((tier) => ({ application: tier, tier }))

const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ cluster }) => ({
    shards: [{ name: 'one', ...cluster.primary, max_connections: 20, slots: 8 }],
    // Waits are told of the last two seconds, so that a step shows in less than the patience.
    adjust: { patience: '3s', calm: '3s' },
    tiers: { high: { reserved: 2 }, low: { max: '100%' }, rules },
  }),
})

const PATIENTLY = { timeoutMs: 60_000, everyMs: 50 }
const as = (tier: string): Promise<WireClient> => bed.open({ parameters: { application_name: tier } })

async function slotsOf(tier: string): Promise<Record<string, unknown>> {
  const found = (await bed.show('SLOTS')).find((row) => row.tier === tier)
  assert.ok(found)
  return found
}

async function events(): Promise<readonly string[]> {
  const all = (await bed.show('EVENTS')).filter(({ kind }) => kind === 'adjustment')
  return all.map(({ event }) => String(event)).toReversed()
}

/** Clients that ask the same again and again, until the function that is returned is called. */
async function load(tier: string, count: number, sql: string): Promise<() => Promise<void>> {
  let isOver = false
  const clients = await Promise.all(Array.from({ length: count }, () => as(tier)))
  const loops = clients.map(async (client) => {
    while (!isOver) assert.deepEqual(sqlstatesOf(await client.query(sql)), [])
  })
  return async () => {
    isOver = true
    await Promise.all(loops)
  }
}

test('low tiers that crowd a high one out give way step by step, and get everything back when it is over', async () => {
  const endLow = await load('low', 12, 'SELECT pg_sleep(0.2)')
  await waitUntil('the shard to be full', async () => (await slotsOf('low')).held === 8)
  // Twice as many as are reserved: to keep the reservation is not enough.
  const endHigh = await load('high', 4, 'SELECT pg_sleep(0.01)')
  await waitUntil('low tiers to have half', async () => (await slotsOf('low')).allowed === 4, PATIENTLY)
  const { adjusted: why } = await slotsOf('low')
  assert.match(String(why), /^shrink: tier high waits \d+ ms for its turn, and may wait 5 ms$/)
  const tiers = new Map((await bed.show('TIERS')).map(({ tier, adjusted }) => [tier, adjusted]))
  assert.deepEqual([tiers.get('high'), tiers.get('low')], ['one: protected', 'one: at most 4'])
  assert.equal((await bed.show('SHARDS'))[0]?.adjusted, 'shrink')
  await waitUntil(
    'the high tier to have its slots without waiting',
    async () => {
      const before = await slotsOf('high')
      await waitUntil('some transactions', async () => {
        return Number((await slotsOf('high')).admitted) >= Number(before.admitted) + 30
      })
      const [high, low] = [await slotsOf('high'), await slotsOf('low')]
      return high.waits === before.waits && Number(low.held) <= 4
    },
    PATIENTLY,
  )
  const page = await (await fetch(`http://127.0.0.1:${bed.router.httpPort}/metrics`)).text()
  assert.ok(/^switchyard_tier_slots_allowed\{shard="one",tier="low"\} \d$/m.test(page))
  assert.ok(/^switchyard_tier_wait_seconds_bucket\{shard="one",tier="high",le="0.0005"\} [1-9]\d*$/m.test(page))
  await endHigh()
  await waitUntil(
    'everything to be given back',
    async () => (await bed.show('SHARDS'))[0]?.adjusted === null,
    PATIENTLY,
  )
  assert.equal((await slotsOf('low')).allowed, 8)
  assert.equal(
    (await bed.show('TIERS')).every(({ adjusted }) => adjusted === null),
    true,
  )
  await endLow()
  const story = await events()
  assert.deepEqual(story.slice(0, 2), [
    'one does not lend the reservations of tier high any more',
    'one gives tiers below high half of their slots',
  ])
  assert.equal(story.at(-1), 'one gives everybody what the policy says again')
})

test('a read of the lowest tier that runs for too long is cancelled when nothing else has helped, if that is allowed', async () => {
  const router = await bed.startRouter({
    shards: [{ name: 'one', ...bed.cluster.primary, max_connections: 20, slots: 2 }],
    adjust: { patience: '500ms', calm: '1s', cancel_reads: '300ms' },
    tiers: { low: { max: '100%' }, rules },
  })
  const open = async (tier: string): Promise<WireClient> => {
    const login = { ...bed.login, parameters: { application_name: tier } }
    return bed.onClose(await WireClient.open({ host: router.host, port: router.port }, login), (each) => each.close())
  }
  const reader = await open('low')
  const writer = await open('low')
  await writer.query('CREATE TABLE slow (n bigint)')
  const long = 'SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b'
  // It began first, and is left alone, because it is no read.
  writer.send(wire.query(`INSERT INTO slow SELECT 1 FROM pg_sleep(60)`))
  reader.send(wire.query(long))
  const high = await open('high')
  assert.deepEqual(sqlstatesOf(await high.query('SELECT 1', 30_000)), [])
  assert.deepEqual(sqlstatesOf(await reader.until('Z')), ['57014'])
  assert.ok(await writer.staysSilent(50))
  const console = await openConsole(router)
  try {
    const { rows } = await console.query('SHOW EVENTS')
    assert.ok(rows.some(({ event }) => event === 'the longest read of a lower tier on one is cancelled'))
  } finally {
    await console.end()
  }
  const page = await (await fetch(`http://127.0.0.1:${router.httpPort}/metrics`)).text()
  assert.ok(/^switchyard_plane_reads_cancelled_total\{plane="0"\} 1$/m.test(page))
})
