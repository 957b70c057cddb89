import { createConnection, type Socket } from 'node:net'
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

  /** `user`: for the log. Throws ConfigError when nobody listens there, or the console refuses. */
  static async open(path: string, user: string): Promise<LocalConsole> {
    const console = new LocalConsole(createConnection(path))
    writeStartup(writer.reset(), 0, [
      ['user', user],
      ['database', 'switchyard'],
      ['application_name', 'switchyard'],
      ['switchyard.console', 'admin'],
    ])
    console.#socket.write(Buffer.from(writer.bytes))
    const { error } = await console.#answer()
    if (error !== null) throw new ConfigError(error.message)
    return console
  }

  /** Gives a command; throws ConfigError when the router ends before it has answered. */
  async run(command: string): Promise<ConsoleAnswer> {
    writeQuery(writer.reset(), command)
    this.#socket.write(Buffer.from(writer.bytes))
    return await this.#answer()
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
      const { type, body } = await this.#next()
      if (type === BACKEND.readyForQuery) return { notices, rows, error }
      if (type === BACKEND.noticeResponse) notices.push(readErrorFields(body, 0, body.length).message)
      else if (type === BACKEND.errorResponse) error = readErrorFields(body, 0, body.length)
      else if (type === BACKEND.rowDescription) columns = columnsOf(body)
      else if (type === BACKEND.dataRow) rows.push(rowOf(body, columns))
      // A refused login is not followed by anything.
      if (error?.severity === 'FATAL') return { notices, rows, error }
    }
  }

  async #next(): Promise<{ readonly type: number; readonly body: Buffer }> {
    for (;;) {
      const length = this.#buffer.length < HEADER_BYTES ? Infinity : 1 + this.#buffer.readUInt32BE(1)
      if (this.#buffer.length >= length) {
        const type = this.#buffer[0] as number
        const body = this.#buffer.subarray(HEADER_BYTES, length)
        this.#buffer = this.#buffer.subarray(length)
        return { type, body }
      }
      if (this.#isClosed) throw new ConfigError('The router did not answer, or ended; its log says why.')
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
