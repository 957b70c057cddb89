import type { Logger } from '../log.ts'
import type { PlaneEvent } from '../memory/control-protocol.ts'

type LogEvent = Extract<PlaneEvent, { op: 'log' }>

/** Writes the log lines that planes send, each under the name and pid of its plane. */
export class PlaneLoggers {
  readonly #create: (process: string, pid: number) => Logger
  readonly #loggers = new Map<number, { readonly pid: number; readonly logger: Logger }>()
  #level: string

  constructor(create: (process: string, pid: number) => Logger, level: string) {
    this.#create = create
    this.#level = level
  }

  set level(level: string) {
    this.#level = level
    for (const { logger } of this.#loggers.values()) logger.level = level
  }

  write(plane: number, pid: number, { level, fields, message }: LogEvent): void {
    this.#of(plane, pid)[level](fields, message)
  }

  #of(plane: number, pid: number): Logger {
    const known = this.#loggers.get(plane)
    if (known?.pid === pid) return known.logger
    const logger = this.#create(`plane ${plane}`, pid)
    logger.level = this.#level
    this.#loggers.set(plane, { pid, logger })
    return logger
  }
}
