import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'

const bed = await Testbed.open({ routerOnly: true, settings: { pool: { size: 1 } } })
const get = (path: string) => fetch(`http://${bed.router.host}:${bed.router.httpPort}${path}`)

/** Values of one metric by their labels of this file's database. */
async function metric(name: string, labels = `database="${bed.database}"`): Promise<number[]> {
  const text = await (await get('/metrics')).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .map((line) => Number(line.split(' ').at(-1)))
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

test('/healthz says that the router is well', async () => {
  const response = await get('/healthz')
  assert.equal(response.status, 200)
  assert.ok((await response.text()).length > 0)
})

test('/metrics is a Prometheus page in which every metric has help and type', async () => {
  const response = await get('/metrics')
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain/)
  const lines = (await response.text()).split('\n').filter(Boolean)
  const described = new Set(lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]))
  for (const line of lines.filter((each) => !each.startsWith('#'))) {
    assert.match(line, /^[a-z_:][a-z0-9_:]*(\{.*\})? [-+0-9.eInfNa]+( \d+)?$/i, line)
    const name = /^[a-zA-Z0-9_:]+/.exec(line)![0]
    const base = name.replace(/_(bucket|sum|count)$/, '')
    assert.ok(described.has(name) || described.has(base), `${name} has no TYPE`)
  }
})

test('queries, transactions and waits are counted, and their times are in the histograms', async () => {
  const [first, second] = await bed.openMany(2)
  const before = sum(await metric('switchyard_queries_total'))
  // One server connection: each query of the second client waits for one of the first.
  for (let n = 0; n < 3; n += 1) {
    await Promise.all([first!.query('SELECT pg_sleep(0.02)'), second!.query('SELECT pg_sleep(0.02)')])
  }
  // The answer may be out a moment before it is counted.
  await waitUntil('the last query to be counted', async () => {
    return sum(await metric('switchyard_queries_total')) - before === 6
  })
  for (const name of ['wait', 'transaction', 'query']) {
    const buckets = await metric(`switchyard_${name}_seconds_bucket`)
    assert.ok(buckets.length > 5, `switchyard_${name}_seconds has ${buckets.length} buckets`)
    const count = sum(await metric(`switchyard_${name}_seconds_count`))
    const infinite = sum(await metric(`switchyard_${name}_seconds_bucket`, 'le="+Inf"'))
    assert.ok(count >= 3 && infinite >= count, `${name}: ${count} counted, ${infinite} in the last bucket`)
    const seconds = sum(await metric(`switchyard_${name}_seconds_sum`))
    assert.ok(seconds >= 0.03 && seconds < 60, `${name}: ${seconds} s`)
  }
})

test('histograms are by user, database and shard', async () => {
  await (await bed.open()).query('SELECT 1')
  const text = await (await get('/metrics')).text()
  const line = text.split('\n').find((each) => each.startsWith('switchyard_query_seconds_count{')) ?? ''
  for (const label of ['user=', 'database=', 'shard=']) assert.ok(line.includes(label), line)
})

test('connected clients are in the gauges while they are there', async () => {
  const clients = await bed.openMany(4)
  assert.equal(sum(await metric('switchyard_clients')), 4)
  for (const client of clients) await client.goodbye()
  await waitUntil('no client to be left', async () => sum(await metric('switchyard_clients')) === 0)
})

test('what is not there is 404, and what is not allowed is refused', async () => {
  assert.equal((await get('/nothing/here')).status, 404)
  const post = await fetch(`http://${bed.router.host}:${bed.router.httpPort}/metrics`, { method: 'POST' })
  assert.ok(post.status === 405 || post.status === 404, String(post.status))
})

test('scrapes at the same time as queries disturb neither', async () => {
  const client = await bed.open()
  const pages = Array.from({ length: 20 }, () => get('/metrics').then((response) => response.text()))
  for (let n = 0; n < 50; n += 1) await client.query('SELECT 1')
  for (const page of await Promise.all(pages)) assert.match(page, /switchyard_queries_total/)
})
