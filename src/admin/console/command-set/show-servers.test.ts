import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PIN } from '../../../memory/client-slots.ts'
import { recordsOf, TestRouter } from '../../router-control.fixture.ts'
import { writeClient, writePool, writeServer } from '../../router-memory.fixture.ts'
import { showServers } from './show-servers.ts'

test("a server connection is shown with its pool's names and its client", () => {
  const router = new TestRouter()
  writePool(router, 0)
  writeClient(router, 2, 'active', { applicationName: 'billing', pins: PIN.listen })
  writeServer(router, 1, 'active', { client: 3, backendPid: 4242, address: '10.0.0.1', remotePort: 5432 })
  const [row] = recordsOf(showServers, router)
  assert.deepEqual(
    { ...row },
    {
      ...row,
      type: 'S',
      user: 'app_role',
      database: 'app',
      server_database: 'app_prod',
      state: 'active',
      addr: '10.0.0.1',
      port: 5432,
      remote_pid: 4242,
      application_name: 'billing',
      link: `0x${(2 ** 22 + 2).toString(16)}`,
      shard: 'alpha',
      pinned: 'listen',
    },
  )
})

test("states carry PgBouncer's words, the column step carries ours", () => {
  const router = new TestRouter()
  writePool(router, 0)
  const steps = ['connecting', 'login', 'idle', 'tested', 'resetting', 'cancelling'] as const
  steps.forEach((step, slot) => {
    writeServer(router, slot, step)
  })
  const rows = recordsOf(showServers, router)
  assert.deepEqual(
    rows.map((row) => row.state),
    ['new', 'new', 'idle', 'tested', 'tested', 'being_canceled'],
  )
  assert.deepEqual(
    rows.map((row) => row.step),
    steps,
  )
})

test('a connection of no pool has the names of the client it serves', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'active', { user: 'root', database: 'switchyard' })
  writeServer(router, 0, 'active', { pool: 0, client: 1 })
  writeServer(router, 1, 'login', { pool: 0 })
  const rows = recordsOf(showServers, router).map((row) => [row.user, row.database, row.shard])
  assert.deepEqual(rows, [
    ['root', 'switchyard', null],
    [null, null, null],
  ])
})
