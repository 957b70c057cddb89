import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { NO_ADMISSION } from './pool-admission.ts'
import { PoolServers } from './pool-servers.ts'
import type { ServerConnection } from './server-connection.ts'
import { openServerHost, TestWaiter } from './server-host.fixture.ts'
import { TestShard } from './shard-peer.fixture.ts'

const HIGH = 0
const LOW = 2

function open(t: TestContext) {
  const host = openServerHost(t)
  const shard = new TestShard(host.poller)
  const story: string[] = []
  const admission = {
    ...NO_ADMISSION,
    take: (tier: number) => void story.push(`takes ${tier}`),
    release: (tier: number) => void story.push(`releases ${tier}`),
  }
  const target = {
    shard: shard.value(),
    user: 'ada',
    database: 'shop',
    credential: { scram: null, password: null, md5Hash: null },
    startup: [],
  }
  const pool = {
    record: 0,
    target,
    onServerFree: () => void story.push('free'),
    onServerGone: () => void story.push('gone'),
  }
  const servers = new PoolServers(host, pool, admission, {
    kind: 'pool',
    database: 'shop',
    user: 'ada',
    mode: 'transaction',
  })
  const client = new TestWaiter(host, 'a')
  const give = (tier: number): ServerConnection => {
    const server = servers.take(tier)
    assert.ok(server !== null)
    client.take(server)
    return server
  }
  const add = (): void => {
    servers.open(host.takeServerSlot())
    host.settle()
  }
  t.after(() => {
    servers.kill('test is over')
    shard.close()
    assert.equal(host.arena.buffersInUse, 0)
  })
  return { host, servers, client, story, give, add }
}

test('who is given out takes a slot of the tier until it comes back, or is gone', (t) => {
  const { servers, client, story, give, add } = open(t)
  assert.equal(servers.take(LOW), null)
  add()
  give(HIGH)
  client.giveBack()
  give(LOW).close('over')
  assert.deepEqual(story, ['free', 'takes 0', 'releases 0', 'free', 'takes 2', 'releases 2', 'gone'])
  assert.deepEqual([servers.size, servers.idle], [0, 0])
})

test('retired: what is idle is closed, the rest when it is given back', (t) => {
  const { servers, client, give, add } = open(t)
  add()
  add()
  const server = give(LOW)
  servers.retire('moved')
  assert.deepEqual([servers.size, servers.idle, server.state], [1, 0, 'active'])
  client.giveBack()
  assert.deepEqual([servers.size, server.state], [0, 'closing'])
})

test('the welcome is what the last one reported, and is there before anybody asks', (t) => {
  const { servers, add } = open(t)
  const version = (): string | undefined => servers.welcome?.reported.get('server_version')
  assert.equal(version(), undefined)
  add()
  assert.equal(version(), '18.4')
})
