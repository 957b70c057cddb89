import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import { localConfig } from '../control/local-settings.ts'
import { ConfigError } from '../errors.ts'

/** What finds a router that runs. */
export interface RouterPlace {
  /** Its configuration file; null: it has the embedded cluster. */
  readonly config: string | null
  /** Its data directory; null: as configuration and environment say. */
  readonly data: string | null
}

/** Where the sockets of a running router are. Throws ConfigError when there is none. */
export function runDirectoryOf({ config, data }: RouterPlace, environment: Environment): string {
  const all = data === null ? environment : { ...environment, SWITCHYARD_DATA: data }
  const dataDirectory = resolve((config === null ? localConfig(all) : loadConfig(config, all)).data.directory)
  const lock = join(dataDirectory, 'switchyard.lock')
  const [, runDirectory] = existsSync(lock) ? readFileSync(lock, 'utf8').split('\n') : []
  if (runDirectory === undefined || runDirectory === '') throw noRouter(dataDirectory)
  return runDirectory
}

export function noRouter(place: string): ConfigError {
  return new ConfigError(
    `No router answers at ${place}; name the data directory of one that runs with --data, SWITCHYARD_DATA or --config.`,
  )
}
