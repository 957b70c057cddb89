import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Geometry,
  HEADER,
  LAYOUT_VERSION,
  layoutObstacle,
  MAGIC,
  MAX_PLANES,
  PAGE_BYTES,
  regionsOf,
} from './layout.ts'
import type { Region } from './region.ts'
import { formatSharedState, openSharedState, readGeometry } from './shared-state.ts'

const GEOMETRY: Geometry = {
  clientSlots: 7,
  ordinaryClientSlots: 5,
  serverSlots: 3,
  poolRecords: 3,
  planes: 2,
  arenaBytesPerPlane: 3 * PAGE_BYTES,
}

const fresh = (): ArrayBuffer => new ArrayBuffer(regionsOf(GEOMETRY).totalBytes)

test('who opens the memory finds the geometry that it was stamped with', () => {
  const memory = fresh()
  const stamped = formatSharedState(memory, GEOMETRY, 1234.5)
  const opened = openSharedState(memory)
  assert.deepEqual(readGeometry(memory), GEOMETRY)
  for (const state of [stamped, opened]) {
    assert.deepEqual(state.geometry, GEOMETRY)
    assert.deepEqual(state.regions, regionsOf(GEOMETRY))
    assert.equal(state.headerF64[HEADER.wallClockOffset], 1234.5)
    assert.equal(state.planes.count, MAX_PLANES)
    assert.equal(state.clients.count, 7)
    assert.equal(state.servers.count, 3)
    assert.equal(state.pools.count, 3)
  }
})

test('an arena may be larger than 2 GB', () => {
  const geometry = { ...GEOMETRY, arenaBytesPerPlane: 3 * 2 ** 31 }
  const memory = new ArrayBuffer(PAGE_BYTES)
  const state = new Float64Array(memory, 0, 64)
  const words = new Int32Array(memory, 0, 64)
  formatSharedState(fresh(), GEOMETRY, 0)
  words[HEADER.magic] = MAGIC
  words[HEADER.layoutVersion] = LAYOUT_VERSION
  state[HEADER.arenaBytesPerPlane] = geometry.arenaBytesPerPlane
  assert.equal(readGeometry(memory).arenaBytesPerPlane, geometry.arenaBytesPerPlane)
})

test('memory of something else is refused, and so is a half-stamped header', () => {
  assert.throws(() => openSharedState(new ArrayBuffer(PAGE_BYTES)), /not a Switchyard segment/)
  const memory = fresh()
  const { headerI32 } = formatSharedState(memory, GEOMETRY, 0)
  headerI32[HEADER.magic] = 0
  assert.throws(() => readGeometry(memory), /not a Switchyard segment/)
})

test('a layout that neither side knows is refused, with both versions named', () => {
  const memory = fresh()
  const { headerI32 } = formatSharedState(memory, GEOMETRY, 0)
  headerI32[HEADER.layoutVersion] = LAYOUT_VERSION + 1
  headerI32[HEADER.readableSince] = LAYOUT_VERSION + 1
  assert.throws(() => openSharedState(memory), new RegExp(`layout ${LAYOUT_VERSION + 1}, and this version reads `))
})

test('a program reads its own layout, the ones it knows, and later ones that were made for it', () => {
  const obstacle = (layout: number, oldest: number) => layoutObstacle({ layout, oldest }, { layout: 7, oldest: 6 })
  for (const [layout, oldest] of [
    [7, 7],
    [6, 3],
    [8, 7],
    [9, 6],
  ] as const) {
    assert.equal(obstacle(layout, oldest), null, `${layout} since ${oldest}`)
  }
  assert.equal(obstacle(5, 4), 'the shared memory has layout 5, and this version reads 6 to 7')
  assert.equal(obstacle(8, 8), 'the shared memory has layout 8, and this version reads 6 to 7')
})

test('no record shares a byte with another, nor with the header', () => {
  const memory = fresh()
  const state = formatSharedState(memory, GEOMETRY, 1)
  const header = Buffer.from(memory, 0, PAGE_BYTES).toString('hex')
  const regions: readonly Region[] = [state.planes, state.clients, state.servers, state.pools]
  let mark = 0
  for (const region of regions) {
    for (let record = 0; record < region.count; record++) {
      region.bytes.fill(++mark, record * region.recordBytes, (record + 1) * region.recordBytes)
    }
  }
  mark = 0
  for (const region of regions) {
    for (let record = 0; record < region.count; record++) {
      const bytes = region.bytes.subarray(record * region.recordBytes, (record + 1) * region.recordBytes)
      mark++
      assert.ok(bytes.every((byte) => byte === mark))
    }
  }
  assert.equal(Buffer.from(memory, 0, PAGE_BYTES).toString('hex'), header)
  assert.ok(Buffer.from(memory, state.regions.arenas).every((byte) => byte === 0))
})
