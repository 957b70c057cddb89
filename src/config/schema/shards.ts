import { duration } from '../duration.ts'
import { entries, namedTables, optional, required, setting, table } from '../key.ts'
import { shardHost } from '../network-address.ts'
import { passwordFile, path } from '../referenced-file.ts'
import { choice, integer } from '../value-type.ts'
import { plainName, poolMode, postgresName, serverPassword } from './names.ts'

export const shards = entries(
  'shards',
  'name',
  'The PostgreSQL servers, at least one. Which of a group is the primary is detected, never configured.',
  {
    name: required(plainName, { example: 'db1', doc: 'What the console, metrics and logs call it.' }),
    host: required(shardHost, {
      example: 'db1.example.com',
      pgbouncer: 'host',
      doc: 'Host name, IP address, or directory of its Unix socket.',
    }),
    port: setting(integer(1, 65535), { default: 5432, pgbouncer: 'port', doc: 'TCP port, also of a Unix socket.' }),
    group: setting(plainName, {
      default: 'main',
      doc: 'Shards of one group hold the same data: one primary and its replicas.',
    }),
    data_directory: optional(path, {
      example: '/var/lib/postgresql/18/main',
      doc:
        'Its data directory, if its server runs on this machine and Switchyard may stop, start and promote it. ' +
        '`monitor.user` has to be a superuser then.',
    }),
    max_connections: setting(integer(1, 100_000), {
      default: 80,
      doc: 'Server connections to this shard, over all pools. Stay below its own `max_connections`.',
    }),
    slots: optional(integer(1, 100_000), {
      example: 16,
      doc: 'Transactions that it may have at once, over all pools. `max_connections` when not set.',
    }),
    zone: optional(plainName, { example: 'eu-west-1a', doc: 'Where it is: see `routing.zone`.' }),
  },
)

export const databases = namedTables(
  'databases',
  'Databases that clients may ask for. `[databases."*"]` answers for every name without a section of its own. Without ' +
    'any section, every name leads to the database of the same name in the only group.',
  {
    group: setting(plainName, { default: 'main', doc: 'Group of shards that holds it.' }),
    name: optional(postgresName, {
      example: 'shop_production',
      pgbouncer: 'dbname',
      doc: 'Its name on the shards. The name that the client asked for when not set.',
    }),
    role: setting(choice('primary', 'replica'), {
      default: 'primary',
      doc:
        '`replica`: everything runs on replicas of the group, whatever it is, and clients are told so, as by a standby ' +
        '(`target_session_attrs=standby`). `primary`: what `routing.reads` does not send elsewhere runs on the primary.',
    }),
    user: optional(postgresName, {
      example: 'shop',
      doc: 'Log in to the shards as this role, whoever the client is. The client’s own name when not set.',
    }),
    password: optional(serverPassword, { example: 'secret', doc: 'Password of `user`.' }),
    password_file: optional(passwordFile, {
      example: '/run/secrets/shop_password',
      doc: 'File with the password of `user`, instead of `password`.',
    }),
    pool_mode: optional(poolMode, { example: 'session', pgbouncer: 'pool_mode', doc: 'Instead of `pool.mode`.' }),
    pool_size: optional(integer(1, 100_000), {
      example: 20,
      pgbouncer: 'pool_size',
      doc: 'Server connections in each pool of this database, instead of `pool.size`.',
    }),
    min_pool_size: optional(integer(0, 100_000), {
      example: 2,
      pgbouncer: 'min_pool_size',
      doc: 'Server connections kept open in each pool of this database, instead of `pool.min_size`.',
    }),
    max_clients: optional(integer(0, 1_000_000, 'no limit'), {
      example: 500,
      pgbouncer: 'max_db_client_connections',
      doc: 'Client connections to this database, instead of `limits.max_clients_per_database`.',
    }),
  },
)

export const monitor = table('monitor', 'How Switchyard watches the shards: whether they answer, and who is primary.', {
  user: required(postgresName, {
    example: 'switchyard',
    doc: 'Role that probes the shards. Any role that may log in does; `pg_monitor` shows it more.',
  }),
  password: optional(serverPassword, { example: 'secret', doc: 'Password of `user`.' }),
  password_file: optional(passwordFile, {
    example: '/run/secrets/monitor_password',
    doc: 'File with the password of `user`, instead of `password`.',
  }),
  database: setting(postgresName, { default: 'postgres', doc: 'Database on the shards to connect to.' }),
  interval: setting(duration(50, 3_600_000), {
    default: '250ms',
    doc: 'Time from one probe of a shard to the next. With up to 400ms a shard that stops answering is noticed within a second.',
  }),
  load_interval: setting(duration(200, 3_600_000), {
    default: '1s',
    doc: 'Time from one question about the load of a shard to the next. An answer takes its server a few milliseconds.',
  }),
  timeout: setting(duration(50, 600_000), {
    default: '3s',
    doc:
      'A probe that has no answer after this time failed, and the shard counts as down. After half a second it is ' +
      'suspect already, and a replica gets nothing new.',
  }),
})
