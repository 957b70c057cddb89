import pg from 'pg'

/** Why a shard has not answered as it should. */
export interface ProbeFailure {
  /**
   * `failed`: it does not serve. `busy`: it is alive but has no room or no time for our question. `starting`: it says that
   * it starts up or shuts down. `locked-out`: it is alive but does not let the monitor in, which is a mistake in the
   * configuration.
   */
  readonly kind: 'failed' | 'busy' | 'starting' | 'locked-out'
  /** One phrase. */
  readonly reason: string
  readonly isTimeout: boolean
}

const TOO_MANY_CONNECTIONS = '53300'
/** statement_timeout, which the monitor sets for its own questions. */
const QUERY_CANCELED = '57014'
const CANNOT_CONNECT_NOW = '57P03'
/** Class 28: invalid authorization. 3D000: no such database. 42501: no right to connect. */
const LOCKED_OUT = /^(28...|3D000|42501)$/

/** What an error of a probe says about the shard. */
export function describeProbeFailure(error: unknown, isTimeout: boolean): ProbeFailure {
  if (error instanceof pg.DatabaseError) {
    const reason = `${error.message} (SQLSTATE ${error.code ?? 'unknown'})`
    if (error.code === TOO_MANY_CONNECTIONS || error.code === QUERY_CANCELED) return { kind: 'busy', reason, isTimeout }
    if (error.code === CANNOT_CONNECT_NOW) return { kind: 'starting', reason, isTimeout }
    if (LOCKED_OUT.test(error.code ?? '')) return { kind: 'locked-out', reason, isTimeout }
    return { kind: 'failed', reason, isTimeout }
  }
  return { kind: 'failed', reason: phrase(error), isTimeout }
}

const phrases: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOENT: 'no such Unix socket',
  ETIMEDOUT: 'connection timed out',
}

function phrase(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(phrase).join('; ')
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  return (code === undefined ? undefined : phrases[code]) ?? error.message
}
