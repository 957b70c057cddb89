import { CLIENT_SLOT_BYTES, POOL_RECORD_BYTES, SERVER_SLOT_BYTES, valueStoreBytes } from '../../../memory/layout.ts'
import type { SharedState } from '../../../memory/shared-state.ts'
import { clientsOf, planesOf, poolsOf, serversOf } from '../../observe.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int8, rowsOf, text } from '../table.ts'

/** `total` things of `size` bytes, of which `used` are in use. */
interface Item {
  readonly name: string
  readonly size: number
  readonly used: number
  readonly total: number
}

const FIELDS: readonly Field<Item>[] = [
  text('name', (item) => item.name),
  int8('size', (item) => item.size),
  int8('used', (item) => item.used),
  int8('free', (item) => item.total - item.used),
  int8('memtotal', (item) => item.size * item.total),
]

export const showMem: ShowCommand = {
  kind: 'show',
  name: 'SHOW MEM',
  summary: 'Shared memory by kind of record, and the heap of each process. Rows of size 1 count bytes.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control.memory)),
}

function* items(memory: SharedState): Generator<Item> {
  const { clientSlots, serverSlots, poolRecords, arenaBytesPerPlane } = memory.geometry
  yield { name: 'client_slots', size: CLIENT_SLOT_BYTES, used: count(clientsOf(memory)), total: clientSlots }
  yield { name: 'server_slots', size: SERVER_SLOT_BYTES, used: count(serversOf(memory)), total: serverSlots }
  yield { name: 'pool_records', size: POOL_RECORD_BYTES, used: count(poolsOf(memory)), total: poolRecords }
  const values = valueStoreBytes(arenaBytesPerPlane)
  for (const { plane, totals } of planesOf(memory)) {
    const ofBuffers = arenaBytesPerPlane - values
    yield { name: `plane_${plane}_buffers`, size: 1, used: totals.bufferBytesInUse, total: ofBuffers }
    yield { name: `plane_${plane}_values`, size: 1, used: totals.valueBytesInUse, total: values }
    yield { name: `plane_${plane}_heap`, size: 1, used: totals.heapBytes, total: totals.heapBytes }
  }
  const { heapUsed, heapTotal } = process.memoryUsage()
  yield { name: 'control_heap', size: 1, used: heapUsed, total: heapTotal }
}

function count(items: Iterable<unknown>): number {
  let total = 0
  for (const _ of items) total++
  return total
}
