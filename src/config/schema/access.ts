import { duration } from '../duration.ts'
import { entries, optional, required, setting, table } from '../key.ts'
import { addressBlock } from '../network-address.ts'
import { passwordFile } from '../referenced-file.ts'
import { choice, integer, list, text } from '../value-type.ts'
import { clientPassword, poolMode, postgresName, ruleName, serverPassword } from './names.ts'

export const auth = table('auth', 'How users that are not listed in `[[users]]` are found.', {
  query: optional(text('a query with $1 in the place of the user name', /\$1/, 16_384), {
    example: 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin',
    pgbouncer: 'auth_query',
    doc:
      'Run on a shard for a user that is not listed (or listed without password). Its first two columns are the user ' +
      'and the stored password. Only superusers read `pg_authid`: prefer a `SECURITY DEFINER` function.',
  }),
  query_user: optional(postgresName, {
    example: 'switchyard',
    pgbouncer: 'auth_user',
    doc: 'Role that runs `query`.',
  }),
  query_password: optional(serverPassword, { example: 'secret', doc: 'Password of `query_user`.' }),
  query_password_file: optional(passwordFile, {
    example: '/run/secrets/query_password',
    doc: 'File with the password of `query_user`, instead of `query_password`.',
  }),
  query_database: optional(postgresName, {
    example: 'postgres',
    pgbouncer: 'auth_dbname',
    doc: 'Database, named as clients name it, in which `query` runs. The one that the client asks for when not set.',
  }),
  cache: setting(duration(0, 86_400_000, 'ask each time'), {
    default: '30s',
    doc: 'How long an answer of `query` is used again. A changed password is noticed at once: a failed login asks anew.',
  }),
})

export const hba = entries(
  'auth.hba',
  null,
  'Access rules in the manner of `pg_hba.conf`: the first whose type, database, user and address match decides, and a ' +
    'client that matches none is refused. Without any rule, every user may log in from everywhere with ' +
    '`scram-sha-256`. `trust` is accepted for Unix sockets and loopback addresses only, `password` for those and ' +
    '`hostssl`.',
  {
    type: required(choice('local', 'host', 'hostssl', 'hostnossl'), {
      example: 'hostssl',
      doc: '`local`: Unix socket. `host`: TCP. `hostssl`: TCP with TLS. `hostnossl`: TCP without.',
    }),
    database: setting(
      list(ruleName, {
        allowed: '"all", "sameuser", "replication", a database name, or an array of them',
        single: true,
      }),
      {
        default: 'all',
        doc: 'Database names as clients use them, `"all"`, `"sameuser"`, or `"replication"` (physical replication).',
      },
    ),
    user: setting(list(ruleName, { allowed: '"all", a user name, or an array of them', single: true }), {
      default: 'all',
      doc: 'User names, or `"all"`.',
    }),
    address: setting(list(addressBlock, { allowed: `${addressBlock.allowed}, or an array of them`, single: true }), {
      default: 'all',
      example: '10.0.0.0/8',
      doc: 'Client addresses: CIDR blocks, single addresses, or `"all"`. Not for `local`.',
    }),
    method: required(choice('scram-sha-256', 'md5', 'password', 'cert', 'trust', 'reject'), {
      example: 'scram-sha-256',
      pgbouncer: 'auth_type',
      doc:
        '`md5` uses SCRAM for users with a SCRAM verifier. `password` is the password in clear text. `cert` is a client ' +
        'certificate whose common name is the user (`hostssl` with `client_tls.ca`).',
    }),
  },
)

export const users = entries(
  'users',
  'name',
  'Users that Switchyard knows by itself. Others may be found with `auth.query`.',
  {
    name: required(postgresName, { example: 'app', doc: 'Name that the client logs in with.' }),
    password: optional(clientPassword, {
      example: 'secret',
      doc:
        'Password, or what `pg_authid.rolpassword` holds: `SCRAM-SHA-256$…` or `md5…`. With a SCRAM verifier the shard ' +
        'must hold the same one. Leave it out for users with `cert` or `trust`, or found with `auth.query`.',
    }),
    password_file: optional(passwordFile, {
      example: '/run/secrets/app_password',
      doc: 'File with the password or verifier, instead of `password`. Read again at RELOAD.',
    }),
    pool_mode: optional(poolMode, {
      example: 'session',
      pgbouncer: 'pool_mode',
      doc: 'Instead of the database’s and `pool.mode`.',
    }),
    pool_size: optional(integer(1, 100_000), {
      example: 20,
      pgbouncer: 'pool_size',
      doc: 'Server connections in each pool of this user, instead of the database’s and `pool.size`.',
    }),
    max_clients: optional(integer(0, 1_000_000, 'no limit'), {
      example: 100,
      pgbouncer: 'max_user_client_connections',
      doc: 'Client connections of this user, instead of `limits.max_clients_per_user`.',
    }),
  },
)
