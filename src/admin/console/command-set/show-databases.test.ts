import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf, TestRouter, testDatabase, testShard } from '../../router-control.fixture.ts'
import { writeClient, writePool, writeServer } from '../../router-memory.fixture.ts'
import { showDatabases } from './show-databases.ts'

test("a database is shown with its primary's address, its limits or the defaults, and its use", () => {
  const router = new TestRouter()
  router.databases = [{ ...testDatabase('app'), serverDatabase: 'app_prod', poolSize: 7, maxClients: 50 }]
  writePool(router, 0)
  writeServer(router, 0, 'idle')
  writeClient(router, 0, 'idle')
  writeClient(router, 1, 'login')
  const [row] = recordsOf(showDatabases, router)
  assert.deepEqual(
    { ...row },
    {
      ...row,
      name: 'app',
      host: 'alpha.example',
      port: 5432,
      database: 'app_prod',
      force_user: null,
      pool_size: 7,
      min_pool_size: 0,
      server_lifetime: 3600,
      pool_mode: null,
      current_connections: 1,
      max_client_connections: 50,
      current_client_connections: 1,
      paused: 0,
      disabled: 0,
      group: 'main',
    },
  )
})

test('databases without an entry of their own are counted at the star', () => {
  const router = new TestRouter()
  router.databases = [testDatabase('app'), testDatabase('*')]
  writeClient(router, 0, 'idle', { database: 'app' })
  writeClient(router, 1, 'idle', { database: 'other' })
  writeClient(router, 2, 'idle', { database: 'third' })
  assert.deepEqual(
    recordsOf(showDatabases, router).map((row) => [row.name, row.current_client_connections]),
    [
      ['app', 1],
      ['*', 2],
    ],
  )
})

test('a pause of the database or of all is shown, and a group without primary has no address', () => {
  const router = new TestRouter()
  router.databases = [testDatabase('app'), testDatabase('shop')]
  router.shards = [testShard(0, 'alpha', 'replica')]
  router.paused = { all: false, databases: ['shop'] }
  const rows = (): unknown => recordsOf(showDatabases, router).map((row) => [row.host, row.paused])
  assert.deepEqual(rows(), [
    [null, 0],
    [null, 1],
  ])
  router.paused = { all: true, databases: [] }
  assert.deepEqual(rows(), [
    [null, 1],
    [null, 1],
  ])
})
