import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { receive, send } from '../io/socket.ts'
import { FRONTEND } from '../protocol/message-type.ts'
import { SYNC, writeParse, writeQuery, writeStartup } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'

const BUFFER_BYTES = 16_384
const READY_BYTES = 6
const LETTER_Z = 0x5a
const NAME = 'lookup'
const LOOKUP = 'SELECT value FROM rehearsal WHERE id = $1;'
/** Text, NUL, and no parameter types. */
const LOOKUP_TAIL = Buffer.from(`${LOOKUP}\0\0\0`)

const writer = new MessageWriter()

function query(sql: string): Buffer {
  writeQuery(writer.reset(), sql)
  return Buffer.from(writer.bytes)
}

/** Bind, Describe, Execute and Sync of the statement called `name`. */
function execution(name: string, value: string): Buffer {
  writer.reset().begin(FRONTEND.bind).text('').text(name).int16(0).int16(1)
  writer.int32(value.length).raw(Buffer.from(value)).int16(0).end()
  writer.begin(FRONTEND.describe).byte('P'.charCodeAt(0)).text('').end()
  writer.begin(FRONTEND.execute).text('').int32(0).end()
  return Buffer.concat([writer.bytes, SYNC])
}

function parse(name: string): Buffer {
  writeParse(writer.reset(), name, LOOKUP_TAIL)
  return Buffer.from(writer.bytes)
}

/** What a client asks for, again and again: queries with and without a transaction, in all protocols. */
const LINES: readonly ((count: number) => Buffer)[] = [
  (count) => query(`SELECT value FROM rehearsal WHERE id = ${count};`),
  (count) => Buffer.concat([parse(''), execution('', String(count))]),
  (count) => execution(NAME, String(count)),
  () => query('BEGIN;'),
  (count) => query(`UPDATE rehearsal SET value = value + ${count} WHERE id = ${count};`),
  // A text of which nothing is remembered.
  (count) => query(`SELECT value, v${count} FROM rehearsal r WHERE id = ${count} AND name = lower('x');`),
  (count) => query(`INSERT INTO rehearsal (id, value, at) VALUES (${count}, ${count}, CURRENT_TIMESTAMP);`),
  () => query('COMMIT;'),
]

/** A client of a rehearsal: logs in, prepares a statement, and asks on as soon as it has its answer. */
export class RehearsalClient {
  readonly #fd: OwnedFd
  readonly #buffer = NativeBuffer.allocate(BUFFER_BYTES)
  #asked = -2

  constructor(fd: OwnedFd) {
    this.#fd = fd
    writeStartup(writer.reset(), 0, [
      ['user', 'rehearsal'],
      ['database', 'rehearsal'],
    ])
    this.#say(writer.bytes)
  }

  /** Requests that it has had answers to. */
  get answered(): number {
    return Math.max(0, this.#asked)
  }

  /** It has got its last answer. */
  isDone = false

  /** Reads the answer, if it is there, and asks the next, unless it is the last. False: there was none. */
  turn(isLast: boolean): boolean {
    const count = receive(this.#fd, this.#buffer, 0, BUFFER_BYTES)
    // More of an answer may come; answers are short.
    if (count < READY_BYTES || this.#buffer.bytes[count - READY_BYTES] !== LETTER_Z) return false
    this.#asked++
    // In a transaction it would be missed.
    if (isLast && this.#asked % LINES.length === 0) this.isDone = true
    else if (this.#asked < 0) this.#say(Buffer.concat([parse(NAME), SYNC]))
    else this.#say((LINES[this.#asked % LINES.length] as (count: number) => Buffer)(this.#asked))
    return true
  }

  close(): void {
    this.#fd.close()
  }

  #say(bytes: Buffer): void {
    bytes.copy(this.#buffer.bytes)
    send(this.#fd, this.#buffer, 0, bytes.length)
  }
}
