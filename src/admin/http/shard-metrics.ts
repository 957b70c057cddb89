import { Counter, Gauge, type Registry } from 'prom-client'
import { connectionsOf, type LoadSample } from '../../control/monitor/load-sample.ts'
import type { ShardHealth as HealthState, Shard } from '../../shard/topology.ts'
import type { RouterControl } from '../router-control.ts'
import { lagBytes } from '../shard-lag.ts'

const HEALTH: readonly HealthState[] = ['unknown', 'starting', 'up', 'suspect', 'overloaded', 'draining', 'down']

const GAUGES: readonly (readonly [name: string, help: string, of: (load: LoadSample) => number | null])[] = [
  ['answer_seconds', 'How long the shard took to tell of its load.', ({ tookMs }) => tookMs / 1000],
  ['pg_connections', 'Client connections that the server has, whoever opened them.', connectionsOf],
  ['pg_max_connections', 'Client connections that it may have.', ({ maxConnections }) => maxConnections],
  [
    'oldest_transaction_seconds',
    'Age of its oldest transaction.',
    ({ oldestTransactionMs }) => oldestTransactionMs / 1000,
  ],
  [
    'replay_delay_seconds',
    'Of a replica: how old the last replayed transaction is while there is more to replay.',
    ({ replayDelayMs }) => (replayDelayMs === null ? null : replayDelayMs / 1000),
  ],
]

type Total = keyof LoadSample['totals']

const COUNTERS: readonly (readonly [name: string, total: Total, help: string])[] = [
  ['pg_commits', 'commits', 'Transactions committed on the server, whoever asked for them.'],
  ['pg_rollbacks', 'rollbacks', 'Transactions rolled back.'],
  ['pg_tuples_read', 'tuplesReturned', 'Rows read.'],
  ['pg_tuples_written', 'tuplesWritten', 'Rows inserted, updated or deleted.'],
  ['pg_blocks_read', 'blocksRead', 'Blocks that were not in its memory.'],
  ['pg_temp_bytes', 'tempBytes', 'Bytes written to temporary files.'],
  ['pg_deadlocks', 'deadlocks', 'Deadlocks.'],
  ['pg_conflicts', 'conflicts', 'Queries cancelled because of replay.'],
  ['pg_file_reads', 'ioReads', 'Reads of files; from PostgreSQL 16 on.'],
  ['pg_file_writes', 'ioWrites', 'Writes of files; from PostgreSQL 16 on.'],
]

/** What is known of each shard, and what it says of its load. */
export function registerShardMetrics(registry: Registry, control: RouterControl): void {
  registerTopologyMetrics(registry, control)
  registerSessionMetrics(registry, control)
  const labelNames = ['shard']
  const registers = [registry]
  for (const [name, help, of] of GAUGES) {
    new Gauge({
      name: `switchyard_shard_${name}`,
      ...{ help, labelNames, registers },
      collect() {
        this.reset()
        for (const [{ name: shard }, load] of loads(control)) {
          const value = of(load)
          if (value !== null) this.set({ shard }, value)
        }
      },
    })
  }
  for (const [name, total, help] of COUNTERS) {
    new Counter({
      name: `switchyard_shard_${name}_total`,
      ...{ help, labelNames, registers },
      collect() {
        this.reset()
        for (const [{ name: shard }, { totals }] of loads(control)) {
          const value = totals[total]
          if (value !== null) this.inc({ shard }, value)
        }
      },
    })
  }
}

function* loads(control: RouterControl): Generator<readonly [Shard, LoadSample]> {
  const { shards } = control.topology()
  for (const { shard: id, load } of control.health()) {
    const shard = shards.find((each) => each.id === id)
    if (shard !== undefined && load !== null) yield [shard, load]
  }
}

function registerTopologyMetrics(registry: Registry, control: RouterControl): void {
  const registers = [registry]
  new Gauge({
    name: 'switchyard_shard_up',
    help: '1 when the shard is in use.',
    labelNames: ['shard', 'group', 'role'],
    registers,
    collect() {
      this.reset()
      for (const { name, group, role, up } of control.topology().shards) {
        this.set({ shard: name, group, role }, up ? 1 : 0)
      }
    },
  })
  new Gauge({
    name: 'switchyard_shard_health',
    help: '1 for the health that the shard is in.',
    labelNames: ['shard', 'health'],
    registers,
    collect() {
      this.reset()
      for (const shard of control.topology().shards) {
        for (const health of HEALTH) this.set({ shard: shard.name, health }, shard.health === health ? 1 : 0)
      }
    },
  })
  new Gauge({
    name: 'switchyard_shard_max_connections',
    help: 'Server connections that the router may hold on the shard.',
    labelNames: ['shard', 'group'],
    registers,
    collect() {
      this.reset()
      for (const { name, group, maxConnections } of control.topology().shards) {
        this.set({ shard: name, group }, maxConnections)
      }
    },
  })
  new Gauge({
    name: 'switchyard_shard_lag_bytes',
    help: 'Bytes of the log that a replica is behind its primary.',
    labelNames: ['shard'],
    registers,
    collect() {
      this.reset()
      const health = control.health()
      for (const shard of control.topology().shards) {
        const bytes = lagBytes(control, shard, health)
        if (bytes !== null) this.set({ shard: shard.name }, bytes)
      }
    },
  })
}

function registerSessionMetrics(registry: Registry, control: RouterControl): void {
  const registers = [registry]
  new Gauge({
    name: 'switchyard_shard_sessions',
    help: 'Sessions of clients on the server, whoever opened them; hidden: the monitor may not see what they do.',
    labelNames: ['shard', 'state'],
    registers,
    collect() {
      this.reset()
      for (const [{ name: shard }, { sessions }] of loads(control)) {
        for (const [state, count] of Object.entries(sessions)) this.set({ shard, state }, count)
      }
    },
  })
  new Gauge({
    name: 'switchyard_shard_active_sessions',
    help: 'Active sessions by what they wait for.',
    labelNames: ['shard', 'wait'],
    registers,
    collect() {
      this.reset()
      for (const [{ name: shard }, { waits }] of loads(control)) {
        for (const [wait, count] of Object.entries(waits)) this.set({ shard, wait }, count)
      }
    },
  })
}
