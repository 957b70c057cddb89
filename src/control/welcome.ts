import type { ListeningPlace } from '../memory/keeper-control-protocol.ts'

/** What the operator is told when the router is ready. */
export interface WelcomeFacts {
  readonly version: string
  readonly listening: readonly ListeningPlace[]
  readonly httpUrl: string
  readonly dataDirectory: string
  readonly readyAfterMs: number
  /** Null when the router stands before servers that exist already. */
  readonly cluster: {
    /** Where the shards are; mostly the data directory. */
    readonly home: string
    readonly created: boolean
    readonly postgresVersion: string
    readonly superuser: string
    readonly password: string
    readonly keepShards: boolean
    readonly shards: readonly {
      readonly name: string
      readonly initialRole: string
      readonly port: number
      readonly adopted: boolean
      readonly logFile: string
    }[]
  } | null
}

/** What `start` says on standard output once clients are served. Ends with a newline. */
export function welcomeText(facts: WelcomeFacts): string {
  const { cluster } = facts
  const seconds = (facts.readyAfterMs / 1000).toFixed(1)
  return [
    '',
    `Switchyard ${facts.version} is ready (${seconds} s).`,
    '',
    ...(cluster === null ? listeningLines(facts) : clusterLines(facts, cluster)),
    `Admin:    ${facts.httpUrl}`,
    `Data:     ${facts.dataDirectory}`,
    ...(cluster === null || cluster.home === facts.dataDirectory ? [] : [`Shards:   ${cluster.home}`]),
    ...(cluster === null ? [] : cluster.shards.map(({ name, logFile }) => `Log:      ${logFile} (${name})`)),
    '',
    stopLine(cluster),
    '',
    '',
  ].join('\n')
}

function clusterLines(facts: WelcomeFacts, cluster: NonNullable<WelcomeFacts['cluster']>): readonly string[] {
  const { created, postgresVersion, superuser, password, shards } = cluster
  const all = shards.every(({ adopted }) => adopted)
  const what = created ? 'created' : all ? 'found running' : 'started'
  const url = (database: string): string =>
    `postgresql://${superuser}:${encodeURIComponent(password)}@${authority(facts.listening)}/${database}`
  return [
    `Cluster:  PostgreSQL ${postgresVersion}, ${what}: ` +
      shards.map(({ name, initialRole, port }) => `${name} (${initialRole}, port ${port})`).join(', '),
    '',
    'Connect:',
    `  ${url('postgres')}`,
    'Console:',
    `  ${url('switchyard')}`,
    '',
  ]
}

function listeningLines({ listening }: WelcomeFacts): readonly string[] {
  return listening.map((place) => `Clients:  ${place.kind === 'unix' ? place.path : hostPort(place)}`)
}

function stopLine(cluster: WelcomeFacts['cluster']): string {
  if (cluster === null) return 'Stop:     Ctrl-C or SIGTERM; transactions are finished first.'
  const shards = cluster.keepShards
    ? 'the shards go on running (--keep-shards)'
    : 'the shards stop too (--keep-shards leaves them)'
  return `Stop:     Ctrl-C; transactions are finished first, and ${shards}.`
}

function authority(listening: readonly ListeningPlace[]): string {
  const place = listening.find(({ kind }) => kind === 'tcp')
  return place?.kind === 'tcp' ? hostPort({ address: dialable(place.address), port: place.port }) : 'localhost'
}

/** An address that clients on this machine can dial, for one that means "every address". */
export function dialable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  return address === '::' ? '::1' : address
}

/** For URLs and people. */
export function hostPort({ address, port }: { readonly address: string; readonly port: number }): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`
}
