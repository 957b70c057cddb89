import { duration } from '../duration.ts'
import { setting, table } from '../key.ts'
import { path } from '../referenced-file.ts'
import { size } from '../size.ts'
import { choice, integer } from '../value-type.ts'
import { limitDuration, poolMode } from './names.ts'

export const pool = table('pool', 'Server connections: one pool for each shard, user and database.', {
  mode: setting(poolMode, {
    default: 'transaction',
    pgbouncer: 'pool_mode',
    doc:
      '`transaction`: a server connection serves one client for a transaction, or longer when the session needs it. ' +
      '`session`: until the client leaves.',
  }),
  size: setting(integer(1, 100_000), {
    default: 20,
    pgbouncer: 'default_pool_size',
    doc: 'Most server connections in one pool.',
  }),
  min_size: setting(integer(0, 100_000), {
    default: 0,
    pgbouncer: 'min_pool_size',
    doc: 'Server connections that a pool in use keeps open.',
  }),
  max_user_connections: setting(integer(0, 100_000, 'no limit'), {
    default: 0,
    pgbouncer: 'max_user_connections',
    doc: 'Most server connections of one user, over all pools.',
  }),
  max_database_connections: setting(integer(0, 100_000, 'no limit'), {
    default: 0,
    pgbouncer: 'max_db_connections',
    doc: 'Most server connections to one database, over all users.',
  }),
  lost_notifications: setting(choice('warn', 'close'), {
    default: 'warn',
    doc:
      'What clients that LISTEN get when the connection that listens for them broke, so that notifications may be lost: ' +
      '`warn`: a WARNING, and they listen on. `close`: they are disconnected, as by PostgreSQL, and can catch up.',
  }),
})

export const limits = table('limits', 'What clients may use up.', {
  max_clients: setting(integer(1, 1_000_000), {
    default: 10_000,
    changeable: 'restart',
    pgbouncer: 'max_client_conn',
    doc: 'Most client connections. Admin users may still reach the console beyond it.',
  }),
  max_clients_per_user: setting(integer(0, 1_000_000, 'no limit'), {
    default: 0,
    pgbouncer: 'max_user_client_connections',
    doc: 'Most client connections of one user.',
  }),
  max_clients_per_database: setting(integer(0, 1_000_000, 'no limit'), {
    default: 0,
    pgbouncer: 'max_db_client_connections',
    doc: 'Most client connections to one database.',
  }),
  startup_packet_bytes: setting(size(512, 65_536), {
    default: 10_000,
    doc: 'Longest startup packet. 10000 is PostgreSQL’s own limit.',
  }),
  startup_parameters: setting(integer(2, 1_000), {
    default: 64,
    doc: 'Most parameters in a startup packet.',
  }),
  buffer_memory: setting(size(16_777_216, 4_294_967_296), {
    default: '256MB',
    changeable: 'restart',
    doc:
      'Most memory for bytes that wait, of all clients together: answers for clients that do not read, requests that ' +
      'wait for a server connection. One connection keeps 192KB at most, but for a long prepared statement on its way to a server; one for which nothing is left is closed.',
  }),
  prepared_statements: setting(integer(1, 100_000), {
    default: 500,
    pgbouncer: 'max_prepared_statements',
    doc: 'Most prepared statements kept on one server connection; the least recently used make room.',
  }),
  waiting_notifications: setting(size(1024, 524_288), {
    default: '512KB',
    doc:
      'Most notifications (LISTEN) that wait for one client, because it is in a transaction or does not read. A client ' +
      'for which there are more is disconnected.',
  }),
})

export const timeouts = table('timeouts', 'How long things may take. 0 switches a limit off where it is allowed.', {
  client_login: setting(limitDuration(), {
    default: '60s',
    pgbouncer: 'client_login_timeout',
    doc: 'A client that is not logged in by then is disconnected.',
  }),
  client_idle: setting(limitDuration(), {
    default: 0,
    example: '1h',
    pgbouncer: 'client_idle_timeout',
    doc: 'A client that says nothing outside of a transaction for so long is disconnected.',
  }),
  idle_transaction: setting(limitDuration(), {
    default: 0,
    example: '5m',
    pgbouncer: 'idle_transaction_timeout',
    doc: 'A client that says nothing inside of a transaction for so long is disconnected.',
  }),
  query: setting(limitDuration(), {
    default: 0,
    example: '10m',
    pgbouncer: 'query_timeout',
    doc: 'A query that runs longer is cancelled, and its client told.',
  }),
  query_wait: setting(limitDuration(), {
    default: '120s',
    pgbouncer: 'query_wait_timeout',
    doc: 'A client that waits longer for a server connection gets an error.',
  }),
  server_connect: setting(duration(10, 600_000), {
    default: '15s',
    pgbouncer: 'server_connect_timeout',
    doc: 'Time to connect and log in to a shard.',
  }),
  server_login_retry: setting(duration(10, 3_600_000), {
    default: '1s',
    pgbouncer: 'server_login_retry',
    doc: 'Pause after a failed connection to a shard, before the next try.',
  }),
  server_idle: setting(limitDuration('never'), {
    default: '10m',
    pgbouncer: 'server_idle_timeout',
    doc: 'A server connection that nobody used for so long is closed.',
  }),
  server_lifetime: setting(limitDuration(), {
    default: '1h',
    pgbouncer: 'server_lifetime',
    doc: 'A server connection older than this is closed when it is free.',
  }),
  server_check: setting(limitDuration('never'), {
    default: '30s',
    pgbouncer: 'server_check_delay',
    doc: 'A server connection that was free for so long is checked before it is used again.',
  }),
  cancel: setting(duration(10, 600_000), {
    default: '10s',
    pgbouncer: 'cancel_wait_timeout',
    doc: 'Time for a cancel request to reach its shard.',
  }),
  drain: setting(limitDuration('wait until the last transaction has ended'), {
    default: '60s',
    doc: 'Time for transactions to finish at a shutdown, before they are cut off.',
  }),
})

export const log = table('log', 'What Switchyard writes to its standard error.', {
  level: setting(choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'), {
    default: 'info',
    doc: 'Least important lines to write.',
  }),
  format: setting(choice('auto', 'json', 'pretty'), {
    default: 'auto',
    changeable: 'restart',
    doc: '`auto`: `pretty` on a terminal, else `json`.',
  }),
})

export const data = table('data', 'What Switchyard keeps on disk.', {
  directory: setting(path, {
    default: '.switchyard',
    example: '/var/lib/switchyard',
    changeable: 'restart',
    doc:
      'Directory for run-time files and history. The default is in the directory where Switchyard is started; ' +
      '`SWITCHYARD_DATA` in the environment overrides it.',
  }),
})
