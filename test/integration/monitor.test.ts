import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { parseConfig } from '../../src/config/load-config.ts'
import type { Config } from '../../src/config/schema.ts'
import { EventLog } from '../../src/control/events/event-log.ts'
import { Monitor } from '../../src/control/monitor/monitor.ts'
import { ShardIds } from '../../src/control/monitor/shard-ids.ts'
import { TimelineLedger } from '../../src/control/monitor/timeline-ledger.ts'
import type { Shard, Topology } from '../../src/shard/topology.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { TestCluster } from '../support/postgres-cluster.ts'
import { type RouterSettings, toToml } from '../support/router-settings.ts'
import { waitUntil } from '../support/wait-until.ts'

const cluster = await TestCluster.open()
after(() => cluster.close())

interface WatchedShard {
  readonly name: string
  readonly host: string
  readonly port: number
}

function configOf(shards: readonly WatchedShard[], monitor: RouterSettings = {}): Config {
  const { user, password } = cluster.superuser
  const settings = {
    shards: shards.map(({ name, host, port }) => ({ name, host, port })),
    monitor: { user, password, interval: '100ms', timeout: '500ms', ...monitor },
    users: [{ name: 'app', password: 'x' }],
  }
  return parseConfig(toToml(settings), { file: 'test.toml', directory: '/', environment: {} })
}

async function startProxy(t: TestContext): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(cluster.primary)
  t.after(() => proxy.close())
  return proxy
}

/** A monitor of these shards, and all topologies that it published. */
function watch(t: TestContext, config: Config) {
  const topologies: Topology[] = []
  const lines: string[] = []
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-monitor-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const monitor = new Monitor({
    ids: new ShardIds([]),
    timelines: new TimelineLedger(directory, (reason) => lines.push(reason)),
    resolve: async (host) => {
      if (host !== 'db1.example') throw new Error('no such host')
      return [cluster.primary.host]
    },
    firstVersion: 10,
    onTopology: (topology) => topologies.push(topology),
    sight: () => null,
    events: new EventLog(
      pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line).msg) }),
      () => 0,
    ),
    now: () => performance.now(),
  })
  t.after(() => monitor.close())
  monitor.apply(config)
  const shard = (name = 'one'): Shard | undefined => monitor.topology.shards.find((each) => each.name === name)
  const until = (what: string, condition: (shard: Shard) => boolean, name = 'one') =>
    waitUntil(what, () => {
      const found = shard(name)
      return found !== undefined && condition(found)
    })
  return { monitor, topologies, lines, shard, until }
}

test('a shard is asked for its role, and nothing is published while nothing changes', async (t) => {
  const { monitor, topologies, until } = watch(t, configOf([{ name: 'one', ...cluster.primary }]))
  await until('the primary', ({ up, role }) => up && role === 'primary')
  const published = topologies.length
  const probed = () => monitor.reports()[0]?.probedAt ?? 0
  const first = probed()
  await waitUntil('another probe', () => probed() > first)
  assert.equal(topologies.length, published)
  assert.deepEqual(
    topologies.map(({ version }) => version),
    topologies.map((_, index) => 11 + index),
  )
  assert.equal(monitor.reports()[0]?.reason, 'accepts connections')
})

test('a shard that refuses is down at once, keeps its role, and comes back', async (t) => {
  const proxy = await startProxy(t)
  const { monitor, until } = watch(
    t,
    configOf([{ name: 'one', host: proxy.host, port: proxy.port }], { interval: '1h' }),
  )
  await until('the primary', ({ up, role }) => up && role === 'primary')
  // The broken connection is what tells: the next probe is an hour away.
  await proxy.inject({ kind: 'refuse' })
  proxy.resetAll()
  await until('the shard to be down', ({ up, role }) => !up && role === 'primary')
  assert.match(monitor.reports()[0]?.reason ?? '', /connection refused/)
  await proxy.heal()
  monitor.doubt(0, 'test')
  await until('the shard to be up', ({ up }) => up)
})

test('a broken connection alone is no reason to call a shard down', async (t) => {
  const proxy = await startProxy(t)
  const { topologies, until } = watch(t, configOf([{ name: 'one', host: proxy.host, port: proxy.port }]))
  await until('the primary', ({ up, role }) => up && role === 'primary')
  const published = topologies.length
  const connections = proxy.accepted
  proxy.resetAll()
  await waitUntil('another connection', () => proxy.accepted > connections)
  assert.ok(topologies.slice(published).every(({ shards }) => shards[0]?.up === true))
})

test('a shard that does not answer is down after the timeout', async (t) => {
  const proxy = await startProxy(t)
  const { monitor, until } = watch(t, configOf([{ name: 'one', host: proxy.host, port: proxy.port }]))
  await until('the primary', ({ up }) => up)
  await proxy.inject({ kind: 'black-hole' })
  await until('the shard to be down', ({ up }) => !up)
  assert.match(monitor.reports()[0]?.reason ?? '', /no answer within 500 ms/)
})

test('a shard whose answer is overdue is suspect and stays in use, until it answers or its time is over', async (t) => {
  const proxy = await startProxy(t)
  const config = configOf([{ name: 'one', host: proxy.host, port: proxy.port }], { timeout: '1500ms' })
  const { monitor, lines, until } = watch(t, config)
  await until('the primary', ({ up }) => up)
  await proxy.inject({ kind: 'black-hole' })
  await until('the shard to be suspect', ({ health, up }) => health === 'suspect' && up)
  assert.match(monitor.reports()[0]?.reason ?? '', /^no answer for 500 ms/)
  await until('the shard to be down', ({ health, up }) => health === 'down' && !up)
  await proxy.heal()
  await until('the shard to be up', ({ health, up }) => health === 'up' && up)
  assert.deepEqual(
    lines.filter((line) => line.startsWith('one is ')).map((line) => line.split(':')[0]),
    ['one is a primary', 'one is up', 'one is suspect', 'one is down', 'one is up again'],
  )
})

test('a flood of doubts does not become a flood of probes', async (t) => {
  const proxy = await startProxy(t)
  const { monitor, until } = watch(
    t,
    configOf([{ name: 'one', host: proxy.host, port: proxy.port }], { interval: '1h' }),
  )
  await until('the primary', ({ up }) => up)
  await proxy.inject({ kind: 'refuse' })
  proxy.resetAll()
  await until('the shard to be down', ({ up }) => !up)
  const probes = new Set<number>()
  const until500 = performance.now() + 500
  while (performance.now() < until500) {
    monitor.doubt(0, 'a client lost its server')
    probes.add(monitor.reports()[0]?.probedAt ?? 0)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(probes.size <= 12, `${probes.size} probes in half a second`)
})

test('a monitor that may not log in says so, with the place to look', async (t) => {
  const config = configOf([{ name: 'one', ...cluster.primary }], { password: 'wrong' })
  const { lines } = watch(t, config)
  await waitUntil('the line', () =>
    lines.some((line) => /one is down: does not let the monitor in: .*28P01.*see \[monitor\]/.test(line)),
  )
})

test('a host name is resolved before anybody dials it, and one that cannot be is down with that reason', async (t) => {
  const { port } = cluster.primary
  const { monitor, shard, until } = watch(
    t,
    configOf([
      { name: 'one', host: 'db1.example', port },
      { name: 'two', host: 'db2.example', port },
    ]),
  )
  await until('the primary', ({ up, role }) => up && role === 'primary')
  assert.equal(shard('one')?.address, cluster.primary.host)
  assert.equal(shard('one')?.host, 'db1.example')
  await waitUntil('the reason', () =>
    /db2.example cannot be resolved \(no such host\)/.test(monitor.reports()[1]?.reason ?? ''),
  )
  assert.deepEqual([shard('two')?.address, shard('two')?.up], [null, false])
})

test('a reload that changes how shards are watched does not forget what they are', async (t) => {
  const shards = [{ name: 'one', ...cluster.primary }]
  const { monitor, topologies, until } = watch(t, configOf(shards))
  await until('the primary', ({ up, role }) => up && role === 'primary')
  const published = topologies.length
  monitor.apply(configOf(shards, { interval: '150ms', timeout: '600ms' }))
  await monitor.firstProbes(5_000)
  assert.equal(topologies.length, published)
})

test('shards come and go with the configuration, and an id is never given to another name', async (t) => {
  const { primary } = cluster
  const { monitor, shard, until } = watch(t, configOf([{ name: 'one', ...primary }]))
  await until('the primary', ({ up }) => up)
  const other = { host: '127.0.0.1', port: 1 }
  monitor.apply(configOf([{ name: 'two', ...primary }]))
  assert.deepEqual([shard('one'), shard('two')?.id], [undefined, 1])
  monitor.apply(
    configOf([
      { name: 'two', ...primary },
      { name: 'one', ...other },
    ]),
  )
  assert.deepEqual([shard('one')?.id, shard('two')?.id], [0, 1])
  await until('the primary', ({ up, role }) => up && role === 'primary', 'two')
})
