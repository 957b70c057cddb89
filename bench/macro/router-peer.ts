import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Daemon, freePort } from './child.ts'
import type { Cleanup } from './cleanup.ts'
import { benchName, type Peer, poolSize } from './peer.ts'
import { type PostgresServer, query } from './postgres-server.ts'
import { findProcesses } from './process-usage.ts'

export interface RouterPeerOptions {
  /** `switchyard` by default. */
  readonly name?: 'switchyard' | 'before'
  readonly server: PostgresServer
  readonly directory: string
  readonly maxClients: number
  readonly checkout: string
  readonly cpuProfileDirectory: string | null
  readonly cleanup: Cleanup
  /** For TLS with clients; by default there is none. */
  readonly certificate?: { readonly certificate: string; readonly key: string } | null
  /** The router manages the server, as one on its machine; not by default. */
  readonly isManaged?: boolean
  /** More of the configuration file. */
  readonly sections?: string
}

/** Switchyard before `server`, as an operator would start it, with the same pool size and authentication as PgBouncer. */
export async function startRouter(options: RouterPeerOptions): Promise<Peer> {
  const { name = 'switchyard', server, cleanup, checkout, cpuProfileDirectory: profiles } = options
  const data = join(options.directory, name)
  mkdirSync(data, { mode: 0o700, recursive: true })
  const config = join(options.directory, `${name}.toml`)
  writeFileSync(config, configuration(options), { mode: 0o600 })
  const port = await freePort()
  const daemon = await Daemon.start(
    {
      name: name === 'before' ? `Switchyard of ${checkout}` : 'Switchyard',
      command: process.execPath,
      args: ['src/main.ts', 'start', '--config', config],
      logFile: join(options.directory, `${name}.log`),
      cwd: checkout,
      env: {
        ...process.env,
        SWITCHYARD_PORT: String(port),
        SWITCHYARD_HTTP_PORT: String(await freePort()),
        SWITCHYARD_DATA: data,
        ...(profiles === null ? {} : { SWITCHYARD_NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` }),
      },
      processes: (pid) => findProcesses(pid, `SWITCHYARD_DATA=${data}`),
    },
    cleanup,
  )
  const address = { ...server.address, port }
  await daemon.untilReady(async () => void (await query(address, 'select 1')), 30_000, cleanup.signal)
  return {
    name,
    version: packageVersion(checkout),
    address: () => address,
    pooling: () => 'transaction',
    processes: () => daemon.processes(),
    stop: () => daemon.stop(),
  }
}

function packageVersion(checkout: string): string {
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'))
  return String(version)
}

type Configured = Pick<RouterPeerOptions, 'server' | 'maxClients' | 'certificate' | 'isManaged' | 'sections'>

function configuration(options: Configured): string {
  const { address, verifier, dataDirectory } = options.server
  const { certificate = null, isManaged = false } = options
  const password = `password = "${address.password}"`
  return `[[shards]]
name = "bench"
host = "${address.host}"
port = ${address.port}
max_connections = ${poolSize + 10}
${isManaged ? `data_directory = "${dataDirectory}"\n` : ''}
[monitor]
user = "${address.user}"
${password}
database = "${benchName}"

[[users]]
name = "${address.user}"
password = "${verifier}"

[databases.${benchName}]
user = "${address.user}"
${password}

[pool]
mode = "transaction"
size = ${poolSize}

[limits]
max_clients = ${options.maxClients + 50}
${certificate === null ? '' : tlsSection(certificate)}${options.sections ?? ''}`
}

function tlsSection({ certificate, key }: { readonly certificate: string; readonly key: string }): string {
  return `
[client_tls]
mode = "allow"
certificate = "${certificate}"
key = "${key}"
`
}
