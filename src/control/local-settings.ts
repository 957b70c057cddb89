import { defaultLocalConfig } from '../config/default-local-config.ts'
import { applyEnvironment, type Environment } from '../config/environment.ts'
import { ConfigProblems } from '../config/problems.ts'
import type { Config } from '../config/schema.ts'
import { schema } from '../config/schema.ts'

/** The embedded cluster has one primary and so many replicas. */
export const LOCAL_REPLICAS = 2

/** Who is in the embedded cluster. */
export interface LocalMembers {
  readonly shards: readonly { readonly name: string; readonly port: number; readonly dataDirectory?: string }[]
  readonly superuser: string
  readonly password: string
}

/** Stand-ins with which everything but the shards can be known before the cluster runs. */
const expectedMembers: LocalMembers = {
  shards: Array.from({ length: 1 + LOCAL_REPLICAS }, (_, index) => ({ name: `shard${index + 1}`, port: index + 1 })),
  superuser: 'postgres',
  password: 'not known yet',
}

/**
 * The configuration of `start` without a configuration file: the embedded cluster, and what the environment says of
 * ports and directory. Throws `ConfigError` when that is wrong.
 */
export function localConfig(environment: Environment, members: LocalMembers = expectedMembers): Config {
  const problems = new ConfigProblems('The environment')
  const root = applyEnvironment({}, environment, problems)
  problems.throwIfAny()
  const read = <T>(section: string, key: string, otherwise: T): T => {
    const table = root[section] as Record<string, T> | undefined
    return table?.[key] ?? otherwise
  }
  return defaultLocalConfig({
    ...members,
    port: read('listen', 'port', Number(schema.listen.keys.port.default)),
    httpPort: read('http', 'port', Number(schema.http.keys.port.default)),
    dataDirectory: read('data', 'directory', String(schema.data.keys.directory.default)),
  })
}
