import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closeStatement, parse, sync } from '../protocol/client-messages.fixture.ts'
import type { LogFields } from '../server/server-host.ts'
import { openPlane } from './plane.fixture.ts'
import { PlaneUpkeep } from './plane-upkeep.ts'
import { ValueSweep } from './value-sweep.ts'

test('little room that a sweep leaves is said once, and again only when there was room in between', (t) => {
  const test = openPlane(t)
  test.shard.preparesAtOnce = true
  const { store } = test.plane
  const client = test.connect().login()
  const warned: LogFields[] = []
  const sweep = new ValueSweep(test.plane, 0, test.log, (_message, fields) => warned.push(fields))
  // More than three quarters of the 512 KB.
  const names = Array.from({ length: 14 }, (_, index) => `s${index}`)
  const fill = (): void => {
    for (const name of names) {
      client.send(Buffer.concat([parse(name, `select '${name.padEnd(30_000, 'x')}'`), sync()]))
    }
  }
  sweep.run(0)
  assert.deepEqual(warned, [])
  fill()
  for (const now of [1, 2]) sweep.run(now)
  assert.deepEqual(
    warned.map(({ freeBytes, usedBytes }) => [freeBytes, usedBytes]),
    [[store.room, store.bytesInUse]],
  )
  client.send(Buffer.concat([...names.map(closeStatement), sync()]))
  sweep.run(3)
  assert.equal(store.isScarce, false)
  fill()
  sweep.run(4)
  assert.equal(warned.length, 2)
})

test('the room is in the plane’s record, once a second', (t) => {
  const { plane } = openPlane(t)
  plane.store.put(Buffer.alloc(1000))
  new PlaneUpkeep(plane).run()
  assert.ok(plane.store.bytesInUse >= 1000)
  assert.equal(plane.record.get('valueBytesInUse'), plane.store.bytesInUse)
})
