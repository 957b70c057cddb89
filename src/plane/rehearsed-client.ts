import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, type PollTarget, READABLE } from '../io/poller.ts'
import { receive, send } from '../io/socket.ts'
import { BACKEND, FRONTEND, HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import { SYNC, writeParse, writeQuery, writeStartup } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'

const scratch = NativeBuffer.allocate(16_384)

const bytesOf = (write: (writer: MessageWriter) => void): Buffer => {
  const writer = new MessageWriter()
  write(writer)
  return Buffer.from(writer.bytes)
}

const query = (sql: string): Buffer => bytesOf((writer) => writeQuery(writer, sql))
const frame = (type: number, body: string): Buffer => {
  const bytes = Buffer.alloc(HEADER_BYTES + body.length)
  bytes[0] = type
  bytes.writeInt32BE(4 + body.length, 1)
  bytes.write(body, HEADER_BYTES, 'latin1')
  return bytes
}

const parse = (name: string): Buffer =>
  bytesOf((writer) => writeParse(writer, name, Buffer.from('SELECT $1\0\0\0', 'latin1')))
const run = (name: string): Buffer =>
  Buffer.concat([
    frame(FRONTEND.bind, `\0${name}\0\0\0\0\x01\0\0\0\x011\0\0`),
    frame(FRONTEND.describe, 'P\0'),
    frame(FRONTEND.execute, '\0\0\0\0\0'),
    SYNC,
  ])

/** What clients send, each answered with one ReadyForQuery. */
export const LINES = {
  startup: bytesOf((writer) =>
    writeStartup(writer, 0, [
      ['user', 'rehearsal'],
      ['database', 'rehearsal'],
      ['application_name', 'rehearsal'],
    ]),
  ),
  simple: query('SELECT 1'),
  begin: query('BEGIN'),
  commit: query('COMMIT'),
  unnamed: Buffer.concat([parse(''), run('')]),
  prepare: Buffer.concat([parse('mine'), run('mine')]),
  prepared: run('mine'),
} as const
export type Line = keyof typeof LINES

/** A client of a rehearsal: says its lines, and counts answers. */
export class RehearsedClient implements PollTarget {
  /** Its own end; the other one is the router's. */
  readonly fd: OwnedFd
  owed = 0
  #partial: Buffer = Buffer.alloc(0)

  constructor(fd: OwnedFd) {
    this.fd = fd
  }

  /** It is served by this poller from now on; that of before is gone. */
  enter(poller: Poller): void {
    poller.add(this.fd, READABLE, this)
  }

  say(line: Line): void {
    scratch.bytes.set(LINES[line])
    this.owed++
    send(this.fd, scratch, 0, LINES[line].length)
  }

  onReady(): void {
    const count = receive(this.fd, scratch, 0, scratch.size)
    if (count <= 0) throw new Error('a client of the rehearsal was disconnected')
    const bytes = Buffer.concat([this.#partial, scratch.bytes.subarray(0, count)])
    let at = 0
    while (at + HEADER_BYTES <= bytes.length) {
      const end = at + 1 + lengthAt(bytes, at + 1)
      if (end > bytes.length) break
      if (bytes[at] === BACKEND.errorResponse) throw new Error(`a rehearsal: ${bytes.toString('utf8', at, end)}`)
      if (bytes[at] === BACKEND.readyForQuery) this.owed--
      at = end
    }
    this.#partial = Buffer.from(bytes.subarray(at))
  }
}
