import type { PlaneView } from '../../../memory/plane-records.ts'
import type { SharedState } from '../../../memory/shared-state.ts'
import { planesOf, timestampText } from '../../observe.ts'
import type { ShowCommand } from '../command.ts'
import { bool, type Field, int4, int8, rowsOf, text } from '../table.ts'

interface Item {
  readonly view: PlaneView
  readonly memory: SharedState
  readonly now: number
}

const FIELDS: readonly Field<Item>[] = [
  int4('plane', ({ view }) => view.plane),
  int4('pid', ({ view }) => view.pid),
  bool('draining', ({ view }) => view.draining),
  text('started', ({ view, memory }) => timestampText(memory, view.totals.startedAt)),
  int8('turned_ms_ago', ({ view, now }) => now - view.totals.turnedAt),
  int4('values_version', ({ view }) => view.valuesVersion),
  int8('turns', ({ view }) => view.totals.turns),
  int8('accepted', ({ view }) => view.totals.accepted),
  int8('refused', ({ view }) => view.totals.refused),
  int8('login_failures', ({ view }) => view.totals.loginFailures),
  int8('cancels', ({ view }) => view.totals.cancels),
  int8('protocol_errors', ({ view }) => view.totals.protocolErrors),
  int8('internal_errors', ({ view }) => view.totals.internalErrors),
  int8('events_dropped', ({ view }) => view.totals.eventsDropped),
  int8('clients_closed', ({ view }) => view.totals.clientsClosed),
  int8('servers_closed', ({ view }) => view.totals.serversClosed),
  int8('servers_lost', ({ view }) => view.totals.serverLost),
  int8('buffers_in_use', ({ view }) => view.totals.buffersInUse),
  int8('buffer_bytes_in_use', ({ view }) => view.totals.bufferBytesInUse),
  int8('heap_bytes', ({ view }) => view.totals.heapBytes),
  int8('notifications', ({ view }) => view.totals.notifications),
  int8('notification_deliveries', ({ view }) => view.totals.notificationDeliveries),
  int8('listeners_lost', ({ view }) => view.totals.listenersLost),
  int8('slow_listeners', ({ view }) => view.totals.slowListeners),
  int8('takeovers', ({ view }) => view.totals.takeovers),
]

export const showPlanes: ShowCommand = {
  kind: 'show',
  name: 'SHOW PLANES',
  summary: 'One row per data plane process: heartbeat, errors, buffers.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control.memory, control.nowMonotonic())),
}

function* items(memory: SharedState, now: number): Generator<Item> {
  for (const view of planesOf(memory)) yield { view, memory, now }
}
