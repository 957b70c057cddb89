import { optional, setting, table } from '../key.ts'
import { listenAddress } from '../network-address.ts'
import { certificateFile, path, privateKeyFile } from '../referenced-file.ts'
import { choice, fileMode, integer, list } from '../value-type.ts'
import { postgresName } from './names.ts'

const port = integer(0, 65535, 'any free port')

export const listen = table('listen', 'Where clients connect.', {
  addresses: setting(
    list(listenAddress, {
      allowed: 'an array of IPv4 and IPv6 addresses (an empty one: Unix socket only)',
      single: false,
    }),
    {
      default: ['127.0.0.1'],
      example: ['0.0.0.0'],
      changeable: 'restart',
      pgbouncer: 'listen_addr',
      doc: 'Addresses to accept clients on. `"0.0.0.0"` is every IPv4 address, `"::"` every IPv4 and IPv6 address.',
    },
  ),
  port: setting(port, {
    default: 6432,
    changeable: 'restart',
    pgbouncer: 'listen_port',
    doc: 'TCP port, and the number in the name of the Unix socket. `SWITCHYARD_PORT` in the environment overrides it.',
  }),
  unix_socket_directory: optional(path, {
    example: '/run/switchyard',
    changeable: 'restart',
    pgbouncer: 'unix_socket_dir',
    doc: 'Directory for the Unix socket `.s.PGSQL.<port>`. No Unix socket when not set.',
  }),
  unix_socket_mode: setting(fileMode, {
    default: '0777',
    changeable: 'restart',
    pgbouncer: 'unix_socket_mode',
    doc: 'Permissions of the Unix socket. Who may log in is decided by `[[auth.hba]]` rules of type `local`.',
  }),
  backlog: setting(integer(1, 65535), {
    default: 1024,
    changeable: 'restart',
    pgbouncer: 'listen_backlog',
    doc: 'Connections that the kernel keeps waiting to be accepted (bounded by `net.core.somaxconn`).',
  }),
})

export const http = table('http', 'Where `/healthz`, `/metrics` and the dashboard answer.', {
  address: setting(listenAddress, {
    default: '127.0.0.1',
    changeable: 'restart',
    doc: 'Address of the HTTP server. It asks for no password: leave it on a network that you trust.',
  }),
  port: setting(port, {
    default: 6480,
    changeable: 'restart',
    doc: 'Port of the HTTP server. `SWITCHYARD_HTTP_PORT` in the environment overrides it.',
  }),
})

const userNames = list(postgresName, { allowed: 'an array of user names', single: false })

export const admin = table('admin', 'Who may use the admin console, the database `switchyard` (or `pgbouncer`).', {
  users: setting(userNames, {
    default: [],
    example: ['postgres'],
    pgbouncer: 'admin_users',
    doc: 'May run every command. Each is listed in `[[users]]`, or found with `auth.query`.',
  }),
  stats_users: setting(userNames, {
    default: [],
    example: ['monitoring'],
    pgbouncer: 'stats_users',
    doc: 'May run `SHOW` commands only.',
  }),
})

export const clientTls = table('client_tls', 'TLS between clients and Switchyard.', {
  mode: setting(choice('disable', 'allow', 'require', 'verify-ca', 'verify-full'), {
    default: 'disable',
    pgbouncer: 'client_tls_sslmode',
    doc:
      '`disable`: none. `allow`: for clients that ask for it. `require`: for every TCP client. `verify-ca`: and each ' +
      'shows a certificate signed by `ca`. `verify-full`: and its common name is the user who logs in.',
  }),
  certificate: optional(certificateFile, {
    example: 'server.crt',
    pgbouncer: 'client_tls_cert_file',
    doc: 'PEM file with our certificate, then its intermediates. Read again at RELOAD.',
  }),
  key: optional(privateKeyFile, {
    example: 'server.key',
    pgbouncer: 'client_tls_key_file',
    doc: 'PEM file with the private key of `certificate`, without passphrase.',
  }),
  ca: optional(certificateFile, {
    example: 'client-ca.crt',
    pgbouncer: 'client_tls_ca_file',
    doc: 'PEM file with the authorities that sign client certificates.',
  }),
  min_version: setting(choice('TLSv1.2', 'TLSv1.3'), {
    default: 'TLSv1.2',
    pgbouncer: 'client_tls_protocols',
    doc: 'Oldest TLS version that clients may speak.',
  }),
  on_upgrade: setting(choice('keep', 'disconnect'), {
    default: 'keep',
    doc:
      'What becomes of TLS connections when the process that serves them is replaced, or dies. `keep`: they go on as ' +
      'others do; their keys are in memory that is shared with its successor, locked, and left out of core dumps. ' +
      '`disconnect`: their keys never leave OpenSSL, and they end.',
  }),
})

export const serverTls = table('server_tls', 'TLS between Switchyard and the shards.', {
  mode: setting(choice('disable', 'prefer', 'require', 'verify-ca', 'verify-full'), {
    default: 'prefer',
    pgbouncer: 'server_tls_sslmode',
    doc:
      '`disable`: none. `prefer`: where the shard offers it. `require`: always. `verify-ca`: and the certificate is ' +
      'signed by `ca`. `verify-full`: and it names the shard’s `host`. Never used on Unix sockets.',
  }),
  ca: optional(certificateFile, {
    example: 'shard-ca.crt',
    pgbouncer: 'server_tls_ca_file',
    doc: 'PEM file with the authorities that sign the certificates of the shards.',
  }),
  certificate: optional(certificateFile, {
    example: 'switchyard.crt',
    pgbouncer: 'server_tls_cert_file',
    doc: 'PEM file with the certificate that we show to shards that ask for one.',
  }),
  key: optional(privateKeyFile, {
    example: 'switchyard.key',
    pgbouncer: 'server_tls_key_file',
    doc: 'PEM file with the private key of `certificate`, without passphrase.',
  }),
  on_upgrade: setting(choice('keep', 'disconnect'), {
    default: 'keep',
    doc: 'As `client_tls.on_upgrade`. `disconnect`: clients lose the transaction that they have on such a connection.',
  }),
})
