import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf, TestRouter } from '../../router-control.fixture.ts'
import { writeClient, writePlane, writePool, writeServer } from '../../router-memory.fixture.ts'
import { COMMANDS } from '../registry.ts'
import { showConfig } from './show-config.ts'
import { createShowHelp } from './show-help.ts'
import { showLists } from './show-lists.ts'
import { showMem } from './show-mem.ts'
import { showPlanes } from './show-planes.ts'
import { showState } from './show-state.ts'
import { showVersion } from './show-version.ts'

test('SHOW MEM: size times used and free is the whole of each kind', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'idle')
  writePlane(router, 0, { bufferBytesInUse: 100, valueBytesInUse: 192, heapBytes: 5_000 })
  const rows = new Map(recordsOf(showMem, router).map((row) => [row.name, row]))
  assert.deepEqual(rows.get('client_slots'), {
    name: 'client_slots',
    size: 1024,
    used: 1,
    free: 15,
    memtotal: 16_384,
  })
  // Values have an eighth of the 64 KB.
  assert.equal(rows.get('plane_0_buffers')?.free, 57_344 - 100)
  assert.equal(rows.get('plane_0_values')?.free, 8_000)
  assert.equal(rows.get('plane_0_heap')?.used, 5_000)
  for (const row of rows.values()) {
    assert.equal(Number(row.size) * (Number(row.used) + Number(row.free)), row.memtotal)
  }
})

test('SHOW LISTS counts what is in use and what is left', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'idle')
  writeClient(router, 1, 'login')
  writeServer(router, 0, 'idle')
  writePool(router, 0)
  writePlane(router, 0)
  const lists = Object.fromEntries(recordsOf(showLists, router).map((row) => [row.list, row.items]))
  assert.deepEqual(lists, {
    databases: 1,
    users: 1,
    pools: 1,
    free_clients: 14,
    used_clients: 2,
    login_clients: 1,
    free_servers: 7,
    used_servers: 1,
    shards: 2,
    planes: 1,
  })
})

test('SHOW PLANES shows the heartbeat of each plane that ever ran', () => {
  const router = new TestRouter(16, 2)
  writePlane(router, 1, { turnedAt: router.now - 40, accepted: 3, draining: 1 })
  const rows = recordsOf(showPlanes, router)
  assert.equal(rows.length, 1)
  assert.deepEqual([rows[0]?.plane, rows[0]?.turned_ms_ago, rows[0]?.accepted, rows[0]?.draining], [1, 40, 3, true])
})

test('SHOW STATE tells pauses and troubles', () => {
  const router = new TestRouter()
  router.paused = { all: true, databases: ['app', 'shop'] }
  router.troubleList = ['Plane 0 is not connected.']
  assert.deepEqual(Object.fromEntries(recordsOf(showState, router).map((row) => [row.key, row.value])), {
    active: 'no',
    paused: 'yes',
    suspended: 'no',
    paused_databases: 'app, shop',
    started: '2026-01-01 00:01:30 UTC',
    upgrade: '',
    troubles: 'Plane 0 is not connected.',
  })
})

test('SHOW CONFIG and SHOW VERSION pass on what control says', () => {
  const router = new TestRouter()
  assert.deepEqual(recordsOf(showConfig, router), [{ key: 'pool.size', value: '30', default: '20', changeable: 'yes' }])
  assert.deepEqual(recordsOf(showVersion, router), [{ version: 'Switchyard 1.2.3' }])
})

test('SHOW HELP lists every command with its argument and who may give it', () => {
  const rows = recordsOf(
    createShowHelp(() => COMMANDS),
    new TestRouter(),
  )
  assert.equal(rows.length, COMMANDS.length)
  const byName = new Map(rows.map((row) => [row.command, row.access]))
  assert.equal(byName.get('KILL_CLIENT id'), 'admin')
  assert.equal(byName.get('SHOW POOLS'), 'stats')
})
