/** Whose doing an error is: decides what is counted, logged, and told to the client. */
export type ErrorOrigin = 'client' | 'router' | 'server'

/**
 * The one error type of Switchyard. `sqlstate` and `message` are what a client may see; `cause` and
 * `detail` are for the log. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export class RouterError extends Error {
  readonly sqlstate: string
  readonly origin: ErrorOrigin
  readonly hint: string | undefined

  constructor(sqlstate: string, message: string, options: { origin: ErrorOrigin; hint?: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RouterError'
    this.sqlstate = sqlstate
    this.origin = options.origin
    this.hint = options.hint
  }
}

/** A mistake in the operator's input: one sentence that names the file, the key, what is allowed and what to write. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ConfigError'
  }
}
