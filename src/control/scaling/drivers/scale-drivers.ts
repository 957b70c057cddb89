import { join } from 'node:path'
import type { Environment } from '../../../config/environment.ts'
import type { Config } from '../../../config/schema.ts'
import { RouterError } from '../../../errors.ts'
import { ExecScaleDriver } from './exec/exec-scale-driver.ts'
import { LocalScaleDriver } from './local/local-scale-driver.ts'
import { localServers } from './local/local-servers.ts'
import type { ScaleDriver } from './scale-driver.ts'

/** What drivers are chosen and made by. */
export interface ScaleDriverOptions {
  readonly config: Config
  readonly environment: Environment
  readonly dataDirectory: string
  readonly onProgress: (message: string) => void
}

/** The driver of this kind, as it is configured now. Throws RouterError when it cannot be used. */
export function scaleDriver(kind: ScaleDriver['kind'], options: ScaleDriverOptions): ScaleDriver {
  const { config, environment, dataDirectory, onProgress } = options
  const { program, programTimeoutMs, readyTimeoutMs, directory } = config.scaling
  if (kind === 'exec') {
    if (program !== null) {
      return new ExecScaleDriver({ program, timeoutMs: programTimeoutMs, patienceMs: readyTimeoutMs })
    }
    throw new RouterError('0A000', 'The driver "exec" needs a program, and scaling.program names none.', {
      origin: 'client',
    })
  }
  return new LocalScaleDriver({
    servers: localServers(config.shards),
    login: { user: config.monitor.user, password: config.monitor.password ?? '' },
    directory,
    otherwise: join(dataDirectory, 'shards'),
    environment,
    onProgress,
  })
}
