import { existsSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError } from '../errors.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { BACKEND, HEADER_BYTES } from '../protocol/message-type.ts'
import { type ErrorFields, writeQuery, writeStartup } from '../protocol/messages.ts'
import { MessageReader } from '../protocol/reader.ts'
import { MessageWriter } from '../protocol/writer.ts'

/** What a console command answered. */
export interface ConsoleAnswer {
  readonly notices: readonly string[]
  /** Values as text, by column name. */
  readonly rows: readonly Readonly<Record<string, string | null>>[]
  /** Null: it succeeded. */
  readonly error: ErrorFields | null
}

const ATTEMPTS = 50
const RETRY_MS = 100
const SHUTTING_DOWN = '57P01'
const NO_ANSWER: ErrorFields = {
  severity: 'FATAL',
  sqlstate: '08006',
  message: 'The router did not answer, or ended; its log says why.',
}

const writer = new MessageWriter()

/**
 * The admin console, by the Unix socket in the router's run directory that only the router's own user may enter, without a
 * password. One command at a time. Whoever opens it closes it.
 */
export class LocalConsole {
  readonly #socket: Socket
  #buffer: Buffer = Buffer.alloc(0)
  #wake: (() => void) | null = null
  #isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      this.#wake?.()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake?.()
    })
  }

  /**
   * `user`: for the log. Throws ConfigError when nobody listens there, which is waited for while there is a run directory: a
   * control process that follows another one takes a moment; or when the console refuses.
   */
  static async open(path: string, user: string): Promise<LocalConsole> {
    for (let attempt = 1; ; attempt++) {
      const console = new LocalConsole(createConnection(path))
      const refusal = await console.#login(user)
      if (refusal === null) return console
      console.close()
      const isAway = refusal === NO_ANSWER || refusal.sqlstate === SHUTTING_DOWN
      if (!isAway || !existsSync(dirname(path)) || attempt === ATTEMPTS) throw new ConfigError(refusal.message)
      await delay(RETRY_MS)
    }
  }

  /** Why not; null: it has logged in. */
  async #login(user: string): Promise<ErrorFields | null> {
    writeStartup(writer.reset(), 0, [
      ['user', user],
      ['database', 'switchyard'],
      ['application_name', 'switchyard'],
      ['switchyard.console', 'admin'],
    ])
    this.#socket.write(Buffer.from(writer.bytes))
    return (await this.#answer()).error
  }

  /** Gives a command; throws ConfigError when the router ends before it has answered. */
  async run(command: string): Promise<ConsoleAnswer> {
    writeQuery(writer.reset(), command)
    this.#socket.write(Buffer.from(writer.bytes))
    const answer = await this.#answer()
    if (answer.error === NO_ANSWER) throw new ConfigError(NO_ANSWER.message)
    return answer
  }

  close(): void {
    this.#socket.destroy()
  }

  async #answer(): Promise<ConsoleAnswer> {
    const notices: string[] = []
    const rows: Record<string, string | null>[] = []
    let columns: readonly string[] = []
    let error: ErrorFields | null = null
    for (;;) {
      const next = await this.#next()
      if (next === null) return { notices, rows, error: error ?? NO_ANSWER }
      const { type, body } = next
      if (type === BACKEND.readyForQuery) return { notices, rows, error }
      if (type === BACKEND.noticeResponse) notices.push(readErrorFields(body, 0, body.length).message)
      else if (type === BACKEND.errorResponse) error = readErrorFields(body, 0, body.length)
      else if (type === BACKEND.rowDescription) columns = columnsOf(body)
      else if (type === BACKEND.dataRow) rows.push(rowOf(body, columns))
      // A refused login is not followed by anything.
      if (error?.severity === 'FATAL') return { notices, rows, error }
    }
  }

  /** Null: the console is gone. */
  async #next(): Promise<{ readonly type: number; readonly body: Buffer } | null> {
    for (;;) {
      const length = this.#buffer.length < HEADER_BYTES ? Infinity : 1 + this.#buffer.readUInt32BE(1)
      if (this.#buffer.length >= length) {
        const type = this.#buffer[0] as number
        const body = this.#buffer.subarray(HEADER_BYTES, length)
        this.#buffer = this.#buffer.subarray(length)
        return { type, body }
      }
      if (this.#isClosed) return null
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

function columnsOf(body: Buffer): readonly string[] {
  const reader = new MessageReader(body, 0, body.length)
  return Array.from({ length: reader.int16() }, () => {
    const name = reader.text()
    // Table, column, type, its length and modifier, format.
    reader.raw(18)
    return name
  })
}

function rowOf(body: Buffer, columns: readonly string[]): Record<string, string | null> {
  const row: Record<string, string | null> = {}
  let at = 2
  for (const name of columns) {
    const bytes = body.readInt32BE(at)
    at += 4
    row[name] = bytes < 0 ? null : body.toString('utf8', at, at + bytes)
    at += Math.max(0, bytes)
  }
  return row
}
