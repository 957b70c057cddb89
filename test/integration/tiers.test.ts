import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

const rule = (application: string) => ({ application, tier: application })

const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ cluster }) => ({
    shards: [{ name: 'one', ...cluster.primary, max_connections: 20, slots: 2 }],
    tiers: {
      age: '60s',
      high: { reserved: 1 },
      low: { queue: 2, query: '300ms' },
      background: { max: 1, queue_wait: '200ms', transaction: '400ms' },
      rules: [
        ...['high', 'medium', 'low', 'background'].map(rule),
        { application: 'patient', tier: 'low', query: '0s' },
        { application: 'hasty', query: '600ms', transaction: '1200ms', queue_wait: '150ms' },
      ],
    },
  }),
})

const as = (tier: string): Promise<WireClient> => bed.open({ parameters: { application_name: tier } })

async function waiting(count: number): Promise<void> {
  await waitUntil(`${count} clients to wait`, async () => (await bed.pool()).cl_waiting === count)
}

/** Sends a query and notes in `story` when it is answered. */
function ask(client: WireClient, name: string, story: string[]): Promise<WireMessage[]> {
  return client.query('SELECT 1').then((answer) => {
    story.push(name)
    return answer
  })
}

test('whoever waits goes on in the order of the tiers, the first come first within one', async () => {
  const holders = [await as('medium'), await as('medium')]
  // Settings that nobody had before are tried on a server connection at login.
  const queued: [string, WireClient][] = []
  for (const tier of ['low', 'medium', 'medium', 'high', 'low']) queued.push([tier, await as(tier)])
  for (const holder of holders) await holder.query('BEGIN')
  const story: string[] = []
  const answers: Promise<unknown>[] = []
  for (const [count, [tier, client]] of queued.entries()) {
    answers.push(ask(client, `${tier} ${count}`, story))
    await waiting(count + 1)
  }
  await holders[0]!.query('COMMIT')
  await Promise.all(answers)
  assert.deepEqual(story, ['high 3', 'medium 1', 'medium 2', 'low 0', 'low 4'])
  await holders[1]!.query('COMMIT')
})

test('a tier at its maximum waits although there are slots, and others pass it', async () => {
  const [first, second, other] = [await as('background'), await as('background'), await as('low')]
  await first.query('BEGIN')
  second.send(wire.query('SELECT 1'))
  await waiting(1)
  assert.deepEqual(sqlstatesOf(await other.query('SELECT 1')), [])
  await first.query('COMMIT')
  assert.deepEqual(sqlstatesOf(await second.until('Z')), [])
})

test('who waits longer than its tier may is refused, and the session goes on', async () => {
  const [first, second] = [await as('background'), await as('background')]
  await first.query('BEGIN')
  assert.deepEqual(sqlstatesOf(await second.query('SELECT 1')), ['53300'])
  await first.query('COMMIT')
  assert.deepEqual(sqlstatesOf(await second.query('SELECT 1')), [])
})

test('more than the queue of a tier holds are refused at once, with a hint', async () => {
  const holders = [await as('medium'), await as('medium')]
  for (const holder of holders) await holder.query('BEGIN')
  const queued = [await as('low'), await as('low')]
  for (const [count, client] of queued.entries()) {
    client.send(wire.query('SELECT 1'))
    await waiting(count + 1)
  }
  const surplus = await as('low')
  const [refusal] = (await surplus.query('SELECT 1')).filter((message) => message.type === 'E')
  assert.equal(refusal?.sqlstate, '53300')
  assert.equal(refusal?.fields.M, 'too many transactions of tier "low" wait for shard "one"')
  assert.match(refusal?.fields.H ?? '', /tiers\.low\.queue/)
  // Also in the extended protocol, up to its Sync.
  assert.deepEqual(sqlstatesOf(await surplus.exchange(wire.extendedQuery('SELECT 1'))), ['53300'])
  for (const holder of holders) await holder.query('COMMIT')
  for (const client of queued) assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  assert.deepEqual(sqlstatesOf(await surplus.query('SELECT 1')), [])
})

test('a query is cancelled after its tier’s time, those of others go on', async () => {
  const [low, medium] = [await as('low'), await as('medium')]
  const [ofLow, ofMedium] = await Promise.all([low.query('SELECT pg_sleep(5)'), medium.query('SELECT pg_sleep(0.5)')])
  assert.deepEqual([sqlstatesOf(ofLow), sqlstatesOf(ofMedium)], [['57014'], []])
})

test('a transaction ends after its tier’s time, whether it works or idles', async () => {
  const client = await as('background')
  await client.query('BEGIN')
  assert.deepEqual(sqlstatesOf(await client.query('SELECT pg_sleep(9)')), ['57014'])
  assert.equal((await client.next()).sqlstate, '25P04')
  const idle = await as('background')
  await idle.query('BEGIN')
  assert.equal((await idle.next()).sqlstate, '25P04')
})

test('what a rule says of a client counts instead of what its tier says', async () => {
  const [patient, low, hasty] = [await as('patient'), await as('low'), await as('hasty')]
  assert.deepEqual(sqlstatesOf(await low.query('SELECT pg_sleep(10)')), ['57014'])
  assert.deepEqual(sqlstatesOf(await patient.query('SELECT pg_sleep(0.6)')), [])
  assert.deepEqual(sqlstatesOf(await hasty.query('SELECT pg_sleep(10)')), ['57014'])
  const holders = [await as('medium'), await as('medium')]
  for (const holder of holders) await holder.query('BEGIN')
  assert.deepEqual(sqlstatesOf(await hasty.query('SELECT 1')), ['53300'])
  for (const holder of holders) await holder.query('ROLLBACK')
  await hasty.query('BEGIN')
  assert.deepEqual(sqlstatesOf(await hasty.until('E')), ['25P04'])
  // It has no tier from its rule.
  const tier = await bed.open({ parameters: { application_name: 'hasty' } })
  assert.equal(onlyValue(await tier.query('SHOW switchyard.tier')), 'medium')
})
