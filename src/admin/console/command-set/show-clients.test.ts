import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT_FLAG, PIN } from '../../../memory/client-slots.ts'
import { recordsOf, TestRouter } from '../../router-control.fixture.ts'
import { writeClient, writePool, writeServer } from '../../router-memory.fixture.ts'
import { showClients } from './show-clients.ts'

test('a client is shown with its address, times in wall clock, link and shard', () => {
  const router = new TestRouter()
  writePool(router, 0)
  writeServer(router, 3, 'active', { generation: 7 })
  writeClient(router, 5, 'active', {
    generation: 2,
    server: 4,
    pool: 1,
    address: '192.0.2.7',
    remotePort: 40_000,
    localPort: 6432,
    applicationName: 'billing',
    tier: 3,
    connectedAt: 60_000,
    transactionStatus: 'T'.charCodeAt(0),
    queries: 12,
  })
  const [row, ...others] = recordsOf(showClients, router)
  assert.equal(others.length, 0)
  assert.deepEqual(
    { ...row },
    {
      ...row,
      type: 'C',
      user: 'alice',
      database: 'app',
      state: 'active',
      addr: '192.0.2.7',
      port: 40_000,
      local_port: 6432,
      connect_time: '2026-01-01 00:01:00 UTC',
      request_time: null,
      application_name: 'billing',
      tier: 'background',
      link: `0x${(7 * 2 ** 22 + 3).toString(16)}`,
      ptr: `0x${(2 * 2 ** 22 + 5).toString(16)}`,
      id: 2 * 2 ** 22 + 5,
      shard: 'alpha',
      transaction_status: 'T',
      query_count: 12,
      tls: '',
    },
  )
})

test('only a client that waits has a waiting time, split in seconds and microseconds', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'waiting', { waitingSince: router.now - 2_500 })
  writeClient(router, 1, 'idle', { waitingSince: router.now - 2_500 })
  const [waiting, idle] = recordsOf(showClients, router)
  assert.deepEqual([waiting?.wait, waiting?.wait_us], [2, 500_000])
  assert.deepEqual([idle?.wait, idle?.wait_us], [0, 0])
})

test('a pinned client says why and since when', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'idle', { pins: PIN.listen | PIN.temporaryObject, pinnedAt: 30_000 })
  const [row] = recordsOf(showClients, router)
  assert.equal(row?.pinned, 'temporaryObject,listen')
  assert.equal(row?.pinned_since, '2026-01-01 00:00:30 UTC')
})

test('a client on a Unix socket has no address, one with TLS says which', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'idle', { flags: CLIENT_FLAG.unix, address: 'x' })
  writeClient(router, 1, 'idle', { flags: CLIENT_FLAG.tls, tls: 'TLSv1.3/TLS_AES_256_GCM_SHA384' })
  const [unix, tls] = recordsOf(showClients, router)
  assert.equal(unix?.addr, 'unix')
  assert.equal(tls?.tls, 'TLSv1.3/TLS_AES_256_GCM_SHA384')
})

test('a pool record that was freed meanwhile leaves the shard empty', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'idle', { pool: 3 })
  writeClient(router, 1, 'idle', { pool: 999 })
  assert.deepEqual(
    recordsOf(showClients, router).map((row) => row.shard),
    [null, null],
  )
})
