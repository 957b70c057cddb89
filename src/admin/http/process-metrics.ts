import { Counter, Gauge, type Registry } from 'prom-client'
import { valueStoreBytes } from '../../memory/layout.ts'
import type { PlaneView } from '../../memory/plane-records.ts'
import type { RouterControl } from '../router-control.ts'
import { heartbeatAge, readiness } from './health.ts'
import type { ScrapeSnapshot } from './scrape-snapshot.ts'

type PlaneTotal = keyof PlaneView['totals']

const PLANE_COUNTERS: readonly (readonly [name: string, total: PlaneTotal, help: string])[] = [
  ['turns', 'turns', 'Wake-ups of the reactor.'],
  ['clients_accepted', 'accepted', 'Client connections accepted.'],
  ['clients_refused', 'refused', 'Client connections refused for want of room.'],
  ['clients_closed', 'clientsClosed', 'Client connections closed.'],
  ['login_failures', 'loginFailures', 'Logins that failed.'],
  ['cancels', 'cancels', 'Cancel requests received.'],
  ['protocol_errors', 'protocolErrors', 'Connections closed because of bytes that are no protocol.'],
  ['internal_errors', 'internalErrors', 'Connections closed because of a mistake of ours.'],
  ['events_dropped', 'eventsDropped', 'Events lost because control did not read them in time.'],
  ['servers_closed', 'serversClosed', 'Server connections closed.'],
  ['servers_lost', 'serverLost', 'Server connections that the shard closed or reset.'],
  ['notifications', 'notifications', 'Notifications heard for clients that listen.'],
  ['notification_deliveries', 'notificationDeliveries', 'Notifications that went to clients, counted for each.'],
  ['listeners_lost', 'listenersLost', 'Listening connections that broke, and with them what was notified meanwhile.'],
  ['slow_listeners', 'slowListeners', 'Clients closed because too many notifications waited for them.'],
  ['reads_cancelled', 'readsCancelled', 'Reads of lower tiers cancelled to help higher ones.'],
  ['reads_repeated', 'readsRepeated', 'Reads run again because their server connection was lost.'],
  ['replays', 'replays', 'Transactions run again because their server connection was lost.'],
  ['replays_failed', 'replaysFailed', 'Reads and transactions that were not the same when they were run again.'],
  ['replays_refused', 'replaysRefused', 'Transactions that were lost with their server connection.'],
  ['commits_confirmed', 'commitsConfirmed', 'COMMITs in doubt that had been done.'],
  ['commits_aborted', 'commitsAborted', 'COMMITs in doubt that had not been done.'],
  ['commits_unknown', 'commitsUnknown', 'COMMITs in doubt of which nothing can be known.'],
  [
    'takeovers',
    'takeovers',
    'Upgrades and crashes of the plane that a successor took over from, since the router started.',
  ],
  ['clients_kept', 'clientsKept', 'Clients that went on with a successor, since the router started.'],
  ['clients_dropped', 'clientsDropped', 'Clients that a successor could not go on with, since the router started.'],
]

const PLANE_GAUGES: readonly (readonly [name: string, total: PlaneTotal, help: string])[] = [
  ['buffers_in_use', 'buffersInUse', 'Buffers that hold bytes waiting for a peer.'],
  ['buffer_bytes_in_use', 'bufferBytesInUse', 'Bytes of those buffers.'],
  ['heap_bytes', 'heapBytes', 'JavaScript heap in use.'],
  ['takeover_stall_milliseconds', 'stallMs', 'How long clients had no service when the plane was taken over last.'],
]

/** What each plane process counts, and the build. */
export function registerProcessMetrics(
  registry: Registry,
  control: RouterControl,
  current: () => ScrapeSnapshot,
): void {
  registerPlaneMetrics(registry, control, current)
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name: `switchyard_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value())
      },
    })
  }
  gauge('ready', '1 when /readyz says yes.', () => (readiness(control).ok ? 1 : 0))
  gauge('uptime_seconds', 'Time since the router started.', () => (control.nowMonotonic() - control.startedAt) / 1000)
  gauge('clients_logging_in', 'Clients that have not authenticated yet.', () => current().loggingIn)
  gauge('client_slots', 'Clients there is room for.', () => control.memory.geometry.clientSlots)
  gauge('client_slots_used', 'Client slots in use.', () => current().usedClientSlots)
  new Gauge({
    name: 'switchyard_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'node'],
    registers: [registry],
    collect() {
      this.set({ version: control.version, node: process.version }, 1)
    },
  })
}

function registerPlaneMetrics(registry: Registry, control: RouterControl, current: () => ScrapeSnapshot): void {
  const registers = [registry]
  for (const [name, total, help] of PLANE_COUNTERS) {
    new Counter({
      name: `switchyard_plane_${name}_total`,
      help,
      labelNames: ['plane'],
      registers,
      collect() {
        this.reset()
        for (const { plane, totals } of current().planes) this.inc({ plane }, Math.max(0, totals[total]))
      },
    })
  }
  for (const [name, total, help] of PLANE_GAUGES) {
    new Gauge({
      name: `switchyard_plane_${name}`,
      help,
      labelNames: ['plane'],
      registers,
      collect() {
        this.reset()
        for (const { plane, totals } of current().planes) this.set({ plane }, totals[total])
      },
    })
  }
  new Gauge({
    name: 'switchyard_plane_value_bytes_free',
    help: 'Room for what sessions are written down with; those that find none end with their plane process.',
    labelNames: ['plane'],
    registers,
    collect() {
      this.reset()
      const bytes = valueStoreBytes(control.memory.geometry.arenaBytesPerPlane)
      for (const { plane, totals } of current().planes) this.set({ plane }, bytes - totals.valueBytesInUse)
    },
  })
  new Gauge({
    name: 'switchyard_plane_heartbeat_age_seconds',
    help: 'Time since the last wake-up of the reactor; more than 5 s means it is stuck.',
    labelNames: ['plane'],
    registers,
    collect() {
      this.reset()
      for (const { plane } of current().planes) this.set({ plane }, (heartbeatAge(control, plane) ?? 0) / 1000)
    },
  })
}
