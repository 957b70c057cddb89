import { isatty } from 'node:tty'
import pino, { type DestinationStream, type Logger, type LoggerOptions } from 'pino'
import pretty from 'pino-pretty'

export type { Logger } from 'pino'

export interface LogOptions {
  /** As in the configuration; `silent` writes nothing. */
  readonly level: string
  /** `auto`: for people when the destination is a terminal, else JSON. */
  readonly format: 'auto' | 'json' | 'pretty'
  /** Which process speaks: `keeper`, `control`, `plane 0`. */
  readonly process: string
  readonly pid: number
  /** File descriptor to write to. */
  readonly destination: number
}

/**
 * A logger that writes each line before the call returns, so that the last words of a process that dies are not lost.
 * When nobody reads the destination any more, lines vanish: there is no one left to tell.
 */
export function createLogger(options: LogOptions): Logger {
  const settings: LoggerOptions = {
    level: options.level,
    base: { process: options.process, pid: options.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  }
  return pino(settings, openDestination(options))
}

function openDestination({ format, destination }: LogOptions): DestinationStream {
  if (format === 'json' || (format === 'auto' && !isatty(destination))) {
    const stream = pino.destination({ fd: destination, sync: true })
    stream.on('error', () => {})
    return stream
  }
  const stream = pretty({
    destination,
    sync: true,
    colorize: isatty(destination),
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,process',
    messageFormat: '{process}: {msg}',
    singleLine: true,
  })
  stream.on('error', () => {})
  return stream
}
