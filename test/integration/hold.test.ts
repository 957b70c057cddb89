import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultProxy } from '../support/fault-proxy.ts'
import type { RouterSettings } from '../support/router-settings.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireAddress, WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const tiers = {
  max_waiting: 3,
  high: { shed_order: 0 },
  medium: { shed_order: 1 },
  low: { shed_order: 2 },
  background: { queue_wait: '300ms' },
  rules: ['high', 'medium', 'low', 'background'].map((application) => ({ application, tier: application })),
}
const changes = (shard: WireAddress): RouterSettings => ({
  shards: [{ name: 'one', host: shard.host, port: shard.port, max_connections: 20, slots: 1 }],
  tiers,
})

const bed = await Testbed.open({ routerOnly: true, settings: ({ cluster }) => changes(cluster.primary) })

const as = (tier: string): Promise<WireClient> => bed.open({ parameters: { application_name: tier } })

async function waiting(count: number): Promise<void> {
  await waitUntil(`${count} clients to wait`, async () => ((await bed.pool()).cl_waiting ?? 0) === count)
}

async function reload(shard: WireAddress): Promise<void> {
  bed.router.writeSettings(bed.settings(changes(shard)))
  await bed.console.query('RELOAD')
}

test('PAUSE, RELOAD with another address, RESUME: those who waited, and those who came behind, go on there', async () => {
  const [before, behind] = [await bed.open(), await bed.open()]
  await before.query('SELECT 1')
  const elsewhere = bed.onClose(await FaultProxy.start(bed.cluster.primary), (proxy) => proxy.close())
  await bed.console.query('PAUSE')
  before.send(wire.query('SELECT 1'))
  await waiting(1)
  await reload(elsewhere)
  behind.send(wire.query('SELECT 2'))
  assert.ok(await before.staysSilent(100))
  await bed.console.query('RESUME')
  assert.equal(onlyValue(await before.until('Z')), '1')
  assert.equal(onlyValue(await behind.until('Z')), '2')
  await waitUntil('all to be there', async () => (await bed.show('SHARDS'))[0]?.port === elsewhere.port)
  assert.ok(elsewhere.open > 0)
  await reload(bed.cluster.primary)
  assert.equal(onlyValue(await before.query('SELECT 3')), '3')
})

test('RELOAD of what concerns nobody, in the middle of a PAUSE, changes nothing for those who wait', async () => {
  const client = await bed.open()
  await bed.console.query('PAUSE')
  client.send(wire.query('SELECT 1'))
  await waiting(1)
  for (let times = 0; times < 3; times += 1) await bed.console.query('RELOAD')
  assert.ok(await client.staysSilent(100))
  await bed.console.query('RESUME')
  assert.equal(onlyValue(await client.until('Z')), '1')
})

test('in a hold the low ones give way when too many wait, and the high ones are first when it is over', async () => {
  const story: string[] = []
  const answers: Promise<void>[] = []
  const [low, medium, newest, high] = [await as('low'), await as('medium'), await as('low'), await as('high')]
  const ask = (client: WireClient, name: string): void => {
    const answered = client
      .query('SELECT 1')
      .then((answer) => void story.push([name, ...sqlstatesOf(answer)].join(' ')))
    answers.push(answered)
  }
  await bed.console.query('PAUSE')
  for (const [count, [client, name]] of (
    [
      [low, 'low'],
      [medium, 'medium'],
      [newest, 'newest'],
    ] as const
  ).entries()) {
    ask(client, name)
    await waiting(count + 1)
  }
  ask(high, 'high')
  await waitUntil('one to give way', () => story.length === 1)
  await bed.console.query('RESUME')
  await Promise.all(answers)
  assert.deepEqual(story, ['newest 53300', 'high', 'medium', 'low'])
})

test('a hold has an end for who waits longer than its tier may: one clear error, and the session goes on', async () => {
  const client = await as('background')
  await bed.console.query('PAUSE')
  const answer = await client.query('SELECT 1')
  assert.deepEqual(sqlstatesOf(answer), ['57P03'])
  assert.match(String(answer.find(({ type }) => type === 'E')?.fields.M), /did not come back in time .*it is paused/)
  await bed.console.query('RESUME')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})
