import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openPlane } from '../plane/plane.fixture.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { Subscriber } from '../server/subscriber.ts'
import { ChannelLedger } from './channel-ledger.ts'
import { HeardChannels } from './heard-channels.ts'

interface Bench {
  readonly heard: HeardChannels
  readonly ledger: ChannelLedger
  /** What the listening connection was asked since the last time. */
  asked(): string[]
}

function openBench(t: TestContext, encoding = 'UTF8', isSomewhere = true): Bench {
  const plane = openPlane(t)
  const client = plane.connect().login()
  client.query('select 1')
  const pool = [...plane.plane.poolSet.all][0] as ServerPool
  const subscriber: Subscriber = {
    pool,
    onNotification: () => {},
    onSynced: () => {},
    onSyncLost: () => {},
    onListenerFailed: () => {},
    onGap: () => {},
  }
  const ledger = new ChannelLedger()
  const heard = new HeardChannels(plane.plane, { pool: isSomewhere ? pool : null, encoding }, ledger, subscriber)
  t.after(() => heard.close())
  const asked = (): string[] => {
    plane.settle()
    const listener = plane.shard.open.find(
      ({ parameters }) => parameters.get('application_name') === 'switchyard listener',
    )
    return listener?.queries.splice(0) ?? []
  }
  return { heard, ledger, asked }
}

test('the listener hears what a session may listen to, and no longer than it may', (t) => {
  const { heard, ledger, asked } = openBench(t)
  assert.equal(heard.expect(['a', 'b']), true)
  assert.deepEqual([asked(), heard.isListening], [['LISTEN "a";LISTEN "b"'], true])
  heard.settle(['a'])
  assert.deepEqual([asked(), [...ledger.channels]], [['UNLISTEN "b"'], ['a']])
  heard.expect(['c'])
  assert.deepEqual(asked(), ['LISTEN "c"'])
  heard.abandon()
  assert.deepEqual(asked(), ['UNLISTEN "c"'])
  heard.expect(['d'])
  assert.deepEqual(asked(), ['LISTEN "d"'])
  heard.close()
  assert.deepEqual([asked(), ledger.isOpen], [['UNLISTEN "a";UNLISTEN "d"'], false])
})

test('what is heard already is expected of nobody, nor is what only the server connection hears', (t) => {
  const { heard } = openBench(t)
  heard.expect(['a'])
  assert.equal(heard.expect(['a']), false)
  heard.settle(['a', 'x'])
  assert.deepEqual([heard.expect(['a', 'x']), heard.expect(['a', 'b'])], [false, true])
})

test('what a name is called in the database is certain in UTF-8 and in ASCII only', (t) => {
  const { heard } = openBench(t, 'LATIN1')
  assert.deepEqual([heard.expect(['é']), heard.expect(['e'])], [false, true])
})

test('a session that is nowhere is heard for by nobody', (t) => {
  const { heard, ledger } = openBench(t, 'UTF8', false)
  assert.equal(heard.expect(['a']), false)
  assert.deepEqual([heard.hasListener, ledger.isSilent], [false, true])
})

test('what the ledger has from another process is heard here', (t) => {
  const { heard, ledger, asked } = openBench(t)
  ledger.restore({ channels: ['a'], pending: ['b'], committed: [], fresh: [], foreign: ['x'] })
  heard.resume()
  assert.deepEqual(asked(), ['LISTEN "a";LISTEN "b"'])
})
