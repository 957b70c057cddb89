import { RouterError } from '../../errors.ts'
import { BACKEND, FRONTEND } from '../../protocol/message-type.ts'
import { writeCommandComplete, writeError, writeParameterStatus, writeReady } from '../../protocol/messages.ts'
import type { MessageWriter } from '../../protocol/writer.ts'
import type { ReportContext } from './command.ts'
import type { ConsoleLogin } from './console-login.ts'
import { asError, describeError, isBug } from './error-report.ts'
import { formatsFor, parseBind, parseExecute, parseParse, parseQuery, parseTarget } from './extended-messages.ts'
import type { Frame } from './frame-reader.ts'
import { type Parsed, type Portal, PreparedObjects } from './prepared-objects.ts'
import { writeBare, writeDataRow, writeNoParameters, writeRowDescription } from './result-messages.ts'
import { SessionSettings } from './session-settings.ts'
import { parseStatement, type SessionEffect, type Statement } from './statement.ts'
import type { Row } from './table.ts'
import { splitStatements } from './tokens.ts'
import { type TransactionStatus, transactionAfter } from './transaction.ts'

/** An admin command and how it ended. */
export interface AuditEntry {
  readonly login: ConsoleLogin
  readonly command: string
  /** Null: it was done. */
  readonly error: Error | null
}

/** Told of every admin command, so that the log can say who did what. */
export type Audit = (entry: AuditEntry) => void

export interface SessionOptions {
  readonly login: ConsoleLogin
  readonly report: ReportContext
  readonly replies: MessageWriter
  /** Sends what `replies` holds; settles when the peer has room for more. */
  readonly flush: () => Promise<void>
  readonly audit: Audit
  /** Called with an exception that is a bug here; the client is told that its command failed. */
  readonly failed: (error: unknown) => void
}

/** Rows are handed to the socket in pieces of this size. */
const FLUSH_BYTES = 32 * 1024

/**
 * One console session after login: takes messages one at a time, in order, and writes the answers.
 * Knows nothing of sockets. Errors of a command become ErrorResponse; a message that cannot be understood rejects,
 * and the connection must end.
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
export class ConsoleSession {
  readonly settings: SessionSettings
  readonly #options: SessionOptions
  readonly #prepared = new PreparedObjects()
  #transaction: TransactionStatus = 'I'
  /** After an error in the extended protocol everything is passed over until Sync. */
  #skipping = false
  #running: AbortController | null = null

  constructor(options: SessionOptions) {
    this.#options = options
    const { login, report } = options
    this.settings = new SessionSettings(report.control.version, login.user, login.applicationName)
  }

  /** A cancel request for this session: ends a command that waits. */
  cancel(): void {
    this.#running?.abort()
  }

  /** True: the client said goodbye. */
  async handle({ type, body }: Frame): Promise<boolean> {
    if (type === FRONTEND.terminate) return true
    if (type === FRONTEND.sync) this.#sync()
    else if (this.#skipping) return false
    else if (type === FRONTEND.query) await this.#simpleQuery(parseQuery(body))
    else await this.#extended(type, body)
    return false
  }

  async #simpleQuery(query: string): Promise<void> {
    this.#prepared.closePortal('')
    try {
      const statements = splitStatements(query)
      if (statements.length === 0) writeBare(this.#options.replies, BACKEND.emptyQueryResponse)
      for (const tokens of statements) await this.#runSimple(this.#allowed(parseStatement(tokens)))
    } catch (error) {
      this.#fail(error)
    }
    this.#sync()
  }

  async #runSimple(statement: Statement): Promise<void> {
    const { replies } = this.#options
    const columns = statement.columns ?? []
    const rows = await this.#start(statement)
    if (statement.columns !== null) writeRowDescription(replies, columns, [])
    let count = 0
    for (let next = rows.next(); next.done !== true; next = rows.next()) {
      writeDataRow(replies, columns, next.value, [])
      count++
      await this.#flushWhenFull()
    }
    this.#complete(statement, count)
  }

  async #extended(type: number, body: Buffer): Promise<void> {
    try {
      switch (type) {
        case FRONTEND.parse:
          return this.#parse(body)
        case FRONTEND.bind:
          return this.#bind(body)
        case FRONTEND.describe:
          return this.#describe(body)
        case FRONTEND.execute:
          return await this.#execute(body)
        case FRONTEND.close:
          return this.#close(body)
        case FRONTEND.flush:
          return await this.#options.flush()
        case FRONTEND.functionCall:
          throw new RouterError('0A000', 'The admin console has no functions to call.', { origin: 'client' })
        case FRONTEND.copyData:
        case FRONTEND.copyDone:
        case FRONTEND.copyFail:
          // Copy data after a failed COPY is passed over, as PostgreSQL does.
          return
      }
    } catch (error) {
      this.#fail(error)
      // Like Query, FunctionCall is a synchronisation point of its own.
      if (type === FRONTEND.functionCall) this.#sync()
      else this.#skipping = true
      return
    }
    throw new RouterError('08P01', `There is no message of type ${type}.`, { origin: 'client' })
  }

  #parse(body: Buffer): void {
    const { name, query } = parseParse(body)
    const [tokens, ...others] = splitStatements(query)
    if (others.length > 0) {
      throw new RouterError('42601', 'A prepared statement is one command, not several.', { origin: 'client' })
    }
    this.#prepared.addStatement(name, tokens === undefined ? null : this.#allowed(parseStatement(tokens)))
    writeBare(this.#options.replies, BACKEND.parseComplete)
  }

  #bind(body: Buffer): void {
    const message = parseBind(body)
    const parsed = this.#prepared.statement(message.statement)
    if (parsed !== null) this.#allowed(parsed)
    const formats = formatsFor(parsed?.columns?.length ?? 0, message.resultFormats)
    this.#prepared.addPortal(message.portal, { parsed, formats, rows: null, ahead: null })
    writeBare(this.#options.replies, BACKEND.bindComplete)
  }

  #describe(body: Buffer): void {
    const { target, name } = parseTarget(body)
    const { replies } = this.#options
    const portal: Pick<Portal, 'parsed' | 'formats'> =
      target === 'portal' ? this.#prepared.portal(name) : { parsed: this.#prepared.statement(name), formats: [] }
    if (target === 'statement') writeNoParameters(replies)
    const columns = portal.parsed?.columns ?? null
    if (columns === null) writeBare(replies, BACKEND.noData)
    else writeRowDescription(replies, columns, portal.formats)
  }

  async #execute(body: Buffer): Promise<void> {
    const { portal: name, maxRows } = parseExecute(body)
    const portal = this.#prepared.portal(name)
    const { parsed } = portal
    if (parsed === null) return writeBare(this.#options.replies, BACKEND.emptyQueryResponse)
    this.#allowed(parsed)
    portal.rows ??= await this.#start(parsed)
    const columns = parsed.columns ?? []
    let count = 0
    for (let row = takeRow(portal); row !== null; row = takeRow(portal)) {
      if (maxRows > 0 && count === maxRows) {
        portal.ahead = row
        return writeBare(this.#options.replies, BACKEND.portalSuspended)
      }
      writeDataRow(this.#options.replies, columns, row, portal.formats)
      count++
      await this.#flushWhenFull()
    }
    this.#complete(parsed, count)
  }

  #close(body: Buffer): void {
    const { target, name } = parseTarget(body)
    if (target === 'portal') this.#prepared.closePortal(name)
    else this.#prepared.closeStatement(name)
    writeBare(this.#options.replies, BACKEND.closeComplete)
  }

  #sync(): void {
    this.#skipping = false
    if (this.#transaction === 'I') this.#prepared.closeAllPortals()
    writeReady(this.#options.replies, this.#transaction.charCodeAt(0))
  }

  /** Runs a statement and says its notices; the rows are made as they are taken. */
  async #start(statement: Statement): Promise<Iterator<Row>> {
    const { login, report, replies } = this.#options
    if (statement.slow) await this.#options.flush()
    const running = new AbortController()
    this.#running = running
    try {
      const context = { ...report, ...login, settings: this.settings, signal: running.signal }
      const { rows, notices } = await statement.run(context)
      if (statement.slow) this.#options.audit({ login, command: statement.text, error: null })
      for (const message of notices) writeError(replies, { severity: 'NOTICE', sqlstate: '00000', message })
      return rows[Symbol.iterator]()
    } catch (error) {
      if (statement.slow) this.#options.audit({ login, command: statement.text, error: asError(error) })
      throw error
    } finally {
      this.#running = null
    }
  }

  #complete(statement: Statement, rows: number): void {
    const failed = this.#transaction === 'E'
    if (statement.effect !== null) this.#apply(statement.effect)
    const tag = statement.tag === 'COMMIT' && failed ? 'ROLLBACK' : statement.tag
    writeCommandComplete(this.#options.replies, statement.columns === null ? tag : `${tag} ${rows}`)
  }

  #apply(effect: SessionEffect): void {
    switch (effect.kind) {
      case 'begin':
      case 'commit':
      case 'rollback':
        this.#transaction = transactionAfter(this.#transaction, effect.kind)
        return
      case 'set': {
        const reported = this.settings.set(effect.name, effect.value)
        if (reported !== null) writeParameterStatus(this.#options.replies, reported, this.settings.get(reported))
        return
      }
      case 'deallocate':
        if (effect.name === null) this.#prepared.closeAllStatements()
        else this.#prepared.closeStatement(effect.name)
    }
  }

  /** In a failed transaction only its end is allowed: https://www.postgresql.org/docs/current/errcodes-appendix.html */
  #allowed<T extends Parsed>(statement: T): T {
    const ends = statement?.effect?.kind === 'commit' || statement?.effect?.kind === 'rollback'
    if (this.#transaction !== 'E' || ends) return statement
    throw new RouterError('25P02', 'The transaction has failed; commands are ignored until ROLLBACK.', {
      origin: 'client',
    })
  }

  #fail(error: unknown): void {
    this.#transaction = transactionAfter(this.#transaction, 'error')
    if (isBug(error)) this.#options.failed(error)
    writeError(this.#options.replies, { severity: 'ERROR', ...describeError(error) })
  }

  async #flushWhenFull(): Promise<void> {
    if (this.#options.replies.length > FLUSH_BYTES) await this.#options.flush()
  }
}

function takeRow(portal: Portal): Row | null {
  const { ahead } = portal
  portal.ahead = null
  if (ahead !== null) return ahead
  const next = portal.rows?.next()
  return next === undefined || next.done === true ? null : next.value
}
