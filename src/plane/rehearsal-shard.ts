import { acceptClient, openListener } from '../io/listener.ts'
import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { receive, send } from '../io/socket.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import { FRONTEND, HEADER_BYTES, lengthAt, STATUS } from '../protocol/message-type.ts'
import {
  PARSE_COMPLETE,
  writeAuthenticationOk,
  writeBackendKeyData,
  writeParameterStatus,
  writeReady,
} from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { Shard } from '../shard/topology.ts'

const BUFFER_BYTES = 16_384
const LETTER = { b: 0x42, c: 0x43, e: 0x45, i: 0x49, s: 0x53 }
const REPORTED = [
  ['server_version', '18.0'],
  ['server_encoding', 'UTF8'],
  ['client_encoding', 'UTF8'],
  ['is_superuser', 'off'],
  ['standard_conforming_strings', 'on'],
  ['DateStyle', 'ISO, MDY'],
  ['TimeZone', 'UTC'],
] as const

const message = (type: string, body: Buffer): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write(type, 'latin1')
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}
const tag = (text: string): Buffer => message('C', Buffer.from(`${text}\0`))
const READY_IDLE = message('Z', Buffer.from('I'))
const READY_OPEN = message('Z', Buffer.from('T'))
const BIND_COMPLETE = message('2', Buffer.alloc(0))
const DESCRIPTION = message('T', Buffer.concat([Buffer.from([0, 1]), Buffer.from('value\0'), Buffer.alloc(18)]))
const ROW = message('D', Buffer.from([0, 1, 0, 0, 0, 5, 0x31, 0x32, 0x33, 0x34, 0x35]))
const SELECTED = tag('SELECT 1')
const SELECTED_ROW = Buffer.concat([DESCRIPTION, ROW, SELECTED])

/** One connection at the shard's side of a rehearsal. */
class RehearsalBackend {
  readonly #fd: OwnedFd
  readonly #in: NativeBuffer
  readonly #out: NativeBuffer
  #length = 0
  #isStarted = false
  #ready = READY_IDLE

  /** The buffers are used during `answer` only. */
  constructor(fd: OwnedFd, input: NativeBuffer, output: NativeBuffer) {
    this.#fd = fd
    this.#in = input
    this.#out = output
  }

  /** Answers what has come; it comes whole, because it is short. */
  answer(): void {
    const count = receive(this.#fd, this.#in, 0, BUFFER_BYTES)
    if (count <= 0) return
    this.#length = 0
    if (this.#isStarted) this.#walk(count)
    else this.#welcome()
    if (this.#length > 0) send(this.#fd, this.#out, 0, this.#length)
  }

  close(): void {
    this.#fd.close()
  }

  #welcome(): void {
    this.#isStarted = true
    const writer = new MessageWriter()
    writeAuthenticationOk(writer)
    for (const [name, value] of REPORTED) writeParameterStatus(writer, name, value)
    writeBackendKeyData(writer, 1, Buffer.alloc(4))
    writeReady(writer, STATUS.idle)
    this.#say(writer.bytes)
  }

  #walk(end: number): void {
    const { bytes } = this.#in
    for (let at = 0; at < end; at += 1 + lengthAt(bytes, at + 1)) {
      const type = bytes[at]
      if (type === FRONTEND.query) this.#run(bytes[at + HEADER_BYTES] as number)
      else if (type === FRONTEND.parse) this.#say(PARSE_COMPLETE)
      else if (type === FRONTEND.bind) this.#say(BIND_COMPLETE)
      else if (type === FRONTEND.describe) this.#say(DESCRIPTION)
      else if (type === FRONTEND.execute) this.#say(Buffer.concat([ROW, SELECTED]))
      else if (type === FRONTEND.sync) this.#say(this.#ready)
    }
  }

  /** `letter`: the first one of the statement. */
  #run(letter: number): void {
    if (letter === LETTER.b) this.#ready = READY_OPEN
    else if (letter === LETTER.c) this.#ready = READY_IDLE
    if (letter === LETTER.s) this.#say(SELECTED_ROW)
    else if (letter === LETTER.i) this.#say(tag('INSERT 0 1'))
    else if (letter === LETTER.b) this.#say(tag('BEGIN'))
    else this.#say(tag(letter === LETTER.c ? 'COMMIT' : 'UPDATE 1'))
    this.#say(this.#ready)
  }

  #say(bytes: Uint8Array): void {
    this.#out.bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }
}

/** The shard of a rehearsal: answers everything at once, and knows nothing. */
export class RehearsalShard {
  readonly #listener: OwnedFd
  readonly #path: string
  readonly #backends: RehearsalBackend[] = []
  readonly #in = NativeBuffer.allocate(BUFFER_BYTES)
  readonly #out = NativeBuffer.allocate(BUFFER_BYTES)

  /** Listens at `path`, which must be free. Throws SystemError. */
  constructor(path: string) {
    this.#path = path
    this.#listener = openListener(parseSocketAddress(path, 0), { backlog: 64, ipv6Only: false })
  }

  /** As the topology has it. */
  get value(): Shard {
    return {
      id: 0,
      name: 'rehearsal',
      group: 'rehearsal',
      host: this.#path,
      address: this.#path,
      port: 0,
      role: 'primary',
      up: true,
      health: 'up',
      maxConnections: 100,
      slots: null,
      zone: null,
      dataDirectory: null,
      adjustment: null,
    }
  }

  /** Takes new connections, and answers what has come. */
  turn(): void {
    for (let taken = acceptClient(this.#listener); typeof taken !== 'string'; taken = acceptClient(this.#listener)) {
      this.#backends.push(new RehearsalBackend(taken.fd, this.#in, this.#out))
    }
    for (const backend of this.#backends) backend.answer()
  }

  close(): void {
    this.#listener.close()
    for (const backend of this.#backends) backend.close()
  }
}
