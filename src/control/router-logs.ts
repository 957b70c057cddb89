import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import { createLogger, type Logger } from '../log.ts'
import { localConfig } from './local-settings.ts'
import { PlaneLoggers } from './plane-loggers.ts'

/** Where lines of this process and of the planes go. */
export interface RouterLogs {
  readonly log: Logger
  readonly planes: PlaneLoggers
  readonly setLevel: (level: string) => void
}

/** Where log lines go: a descriptor, at the level that the configuration says. */
export interface RouterLogsOptions {
  /** Null: the embedded cluster. */
  readonly configFile: string | null
  readonly environment: Environment
  /** Of this process. */
  readonly pid: number
  readonly logDestination: number
}

/** The logs as the configuration wants them. Throws ConfigError. */
export function openLogs({ configFile, environment, pid, logDestination }: RouterLogsOptions): RouterLogs {
  const { log: settings } = configFile === null ? localConfig(environment) : loadConfig(configFile, environment)
  const create = (process: string, processId: number): Logger =>
    createLogger({ ...settings, process, pid: processId, destination: logDestination })
  const log = create('control', pid)
  const planes = new PlaneLoggers(create, settings.level)
  const setLevel = (level: string): void => {
    log.level = level
    planes.level = level
  }
  return { log, planes, setLevel }
}
