import { fitsSocketPath, isLocalHost } from './network-address.ts'
import type { ConfigProblems } from './problems.ts'
import { keyFitsCertificate, type PemFile } from './referenced-file.ts'
import type { Config } from './schema.ts'

/** What must hold between the keys of `[listen]`, `[http]`, `[client_tls]`, `[server_tls]` and the shards' addresses. */
export function checkListeners(config: Config, problems: ConfigProblems): void {
  checkSockets(config, problems)
  checkPorts(config, problems)
  checkOwnAddress(config, problems)
  checkPair('client_tls', config.clientTls, problems)
  checkPair('server_tls', config.serverTls, problems)
  checkTlsModes(config, problems)
}

function checkSockets({ listen }: Config, problems: ConfigProblems): void {
  if (problems.touches('listen')) return
  const directory = listen.unixSocketDirectory
  if (listen.addresses.length === 0 && directory === null) {
    problems.add(
      'listen.addresses',
      'listen.addresses is an empty array and listen.unix_socket_directory is not set, so no client could connect; ' +
        'write addresses = [ "127.0.0.1" ] or unix_socket_directory = "/run/switchyard".',
    )
  }
  if (directory !== null && !fitsSocketPath(directory, listen.port)) {
    problems.add(
      'listen.unix_socket_directory',
      `listen.unix_socket_directory is ${JSON.stringify(directory)}, but ${directory}/.s.PGSQL.${listen.port} is longer ` +
        'than the 107 bytes that a socket path may have; choose a shorter directory.',
    )
  }
}

const isEvery = (address: string): boolean => address === '0.0.0.0' || address === '::'

function checkPorts({ listen, http }: Config, problems: ConfigProblems): void {
  if (problems.touches('listen', 'http')) return
  if (listen.port === 0 || listen.port !== http.port) return
  const clash = listen.addresses.find((each) => each === http.address || isEvery(each) || isEvery(http.address))
  if (clash === undefined) return
  problems.add(
    'http.port',
    `http.port is ${http.port}, but clients already connect there (listen.port, ${clash}); ` +
      'choose another port, for example port = 6480.',
  )
}

// Probes and clients would go round in circles until the descriptors are used up.
function checkOwnAddress({ listen, shards }: Config, problems: ConfigProblems): void {
  if (problems.touches('listen', 'shards')) return
  for (const [index, shard] of shards.entries()) {
    const isOwnSocket = shard.host === listen.unixSocketDirectory
    const isOwnAddress = listen.addresses.some(
      (each) => each === shard.host || (isLocalHost(shard.host) && !shard.host.startsWith('/') && sameMachine(each)),
    )
    if (shard.port !== listen.port || !(isOwnSocket || isOwnAddress)) continue
    problems.add(
      `shards[${index}].port`,
      `shards[${index}] (${shard.name}) is ${shard.host} port ${shard.port}, but that is where Switchyard itself ` +
        'listens (listen.port); give the address of the PostgreSQL server.',
    )
  }
}

const sameMachine = (address: string): boolean => isEvery(address) || isLocalHost(address)

interface TlsFiles {
  readonly certificate: PemFile | null
  readonly key: PemFile | null
}

function checkPair(section: string, { certificate, key }: TlsFiles, problems: ConfigProblems): void {
  if (problems.touches(`${section}.certificate`, `${section}.key`)) return
  if ((certificate === null) !== (key === null)) {
    const [missing, present] = certificate === null ? ['certificate', 'key'] : ['key', 'certificate']
    problems.add(
      `${section}.${missing}`,
      `${section}.${missing} is missing, and must be set because ${section}.${present} is; ` +
        `write the path of a PEM file, or remove ${section}.${present}.`,
    )
  }
  if (certificate !== null && key !== null && !keyFitsCertificate(certificate, key)) {
    problems.add(
      `${section}.key`,
      `${section}.key is ${JSON.stringify(key.path)}, but it is not the private key of the first certificate in ` +
        `${certificate.path}; give the two that were made together.`,
    )
  }
}

function checkTlsModes({ clientTls, serverTls }: Config, problems: ConfigProblems): void {
  if (clientTls.mode !== 'disable' && clientTls.certificate === null && clientTls.key === null) {
    requireFile('client_tls', clientTls.mode, 'certificate', problems)
  }
  if (clientTls.mode.startsWith('verify-') && clientTls.ca === null) {
    requireFile('client_tls', clientTls.mode, 'ca', problems)
  }
  if (serverTls.mode.startsWith('verify-') && serverTls.ca === null) {
    requireFile('server_tls', serverTls.mode, 'ca', problems)
  }
}

function requireFile(section: string, mode: string, name: 'certificate' | 'ca', problems: ConfigProblems): void {
  if (problems.touches(section)) return
  const what = name === 'certificate' ? 'certificate = "server.crt" and key = "server.key"' : 'ca = "ca.crt"'
  problems.add(
    `${section}.${name}`,
    `${section}.${name} is missing, and must be set because ${section}.mode is "${mode}"; write for example ${what}, ` +
      `or choose another mode.`,
  )
}
