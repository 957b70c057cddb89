import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { FRONTEND } from '../../protocol/message-type.ts'
import { writeQuery, writeStartup } from '../../protocol/messages.ts'
import { parseStartup } from '../../protocol/startup.ts'
import { MessageWriter } from '../../protocol/writer.ts'
import { reportContextOf, TestRouter } from '../router-control.fixture.ts'
import { ConsoleServer, type ConsoleServerOptions } from './console-server.ts'
import type { AuditEntry } from './console-session.ts'

/** A console on a socket of its own, for one test. `close` stops it and removes the directory. */
export class TestConsole {
  readonly router: TestRouter
  readonly directory: string
  readonly path: string
  readonly audit: AuditEntry[] = []
  readonly bugs: unknown[] = []
  readonly server: ConsoleServer

  private constructor(router: TestRouter, directory: string, options: Partial<ConsoleServerOptions>) {
    this.router = router
    this.directory = directory
    this.path = join(directory, 'console.sock')
    let secret = 0
    this.server = new ConsoleServer({
      report: reportContextOf(router),
      randomBytes: (count) => Buffer.alloc(count, ++secret),
      audit: (entry) => this.audit.push(entry),
      failed: (error) => this.bugs.push(error),
      ...options,
    })
  }

  static async start(
    router: TestRouter = new TestRouter(),
    options: Partial<ConsoleServerOptions> = {},
  ): Promise<TestConsole> {
    const console = new TestConsole(router, await mkdtemp(join(tmpdir(), 'switchyard-console-')), options)
    await console.server.listen(console.path)
    return console
  }

  async close(): Promise<void> {
    await this.server.close()
    await rm(this.directory, { recursive: true })
  }
}

/** A console that stops with the test. */
export async function consoleFor(
  t: TestContext,
  router?: TestRouter,
  options?: Partial<ConsoleServerOptions>,
): Promise<TestConsole> {
  const console = await TestConsole.start(router, options)
  t.after(() => console.close())
  return console
}

export interface BackendMessage {
  readonly type: string
  readonly body: Buffer
}

/** A client made of bytes. */
export class RawClient {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #changed: () => void = () => undefined
  closed = false

  constructor(path: string) {
    this.socket = connect(path)
    this.socket.on('error', () => undefined)
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#changed()
    })
    this.socket.on('close', () => {
      this.closed = true
      this.#changed()
    })
  }

  static async login(path: string, access = 'admin', minor = 0): Promise<RawClient> {
    const client = new RawClient(path)
    client.send(startup({ user: 'alice', database: 'switchyard', 'switchyard.console': access }, minor))
    await client.until('Z')
    return client
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  query(sql: string): Promise<readonly BackendMessage[]> {
    this.send(query(sql))
    return this.until('Z')
  }

  /** The messages up to and with the `count`-th of a type, or all there were when the connection closes first. */
  async until(type: string, count = 1): Promise<readonly BackendMessage[]> {
    const messages: BackendMessage[] = []
    let left = count
    while (left > 0) {
      const message = this.#take()
      if (message !== null) {
        messages.push(message)
        if (message.type === type) left--
      } else if (this.closed) break
      else await this.#change()
    }
    return messages
  }

  /** The next `count` bytes as they are. */
  async bytes(count: number): Promise<Buffer> {
    while (this.#received.length < count && !this.closed) await this.#change()
    const taken = this.#received.subarray(0, count)
    this.#received = this.#received.subarray(count)
    return taken
  }

  async close(): Promise<void> {
    this.socket.destroy()
    while (!this.closed) await this.#change()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve
    })
  }

  #take(): BackendMessage | null {
    if (this.#received.length < 5) return null
    const end = 1 + this.#received.readUInt32BE(1)
    if (this.#received.length < end) return null
    const message = { type: String.fromCharCode(this.#received[0] ?? 0), body: this.#received.subarray(5, end) }
    this.#received = this.#received.subarray(end)
    return message
  }
}

export function startup(parameters: Record<string, string>, minor = 0): Buffer {
  const writer = new MessageWriter()
  writeStartup(writer, minor, Object.entries(parameters))
  return writer.bytes
}

export function query(sql: string): Buffer {
  const writer = new MessageWriter()
  writeQuery(writer, sql)
  return writer.bytes
}

export const sync = (): Buffer => new MessageWriter().begin(FRONTEND.sync).end().bytes

export function parse(sql: string, name = ''): Buffer {
  return new MessageWriter().begin(FRONTEND.parse).text(name).text(sql).int16(0).end().bytes
}

/** @param formats result format codes */
export function bind(formats: readonly number[] = [], portal = '', statement = ''): Buffer {
  const writer = new MessageWriter().begin(FRONTEND.bind).text(portal).text(statement).int16(0).int16(0)
  writer.int16(formats.length)
  for (const format of formats) writer.int16(format)
  return writer.end().bytes
}

export function describe(target: 'S' | 'P', name = ''): Buffer {
  return new MessageWriter().begin(FRONTEND.describe).byte(target.charCodeAt(0)).text(name).end().bytes
}

export function execute(maxRows = 0, portal = ''): Buffer {
  return new MessageWriter().begin(FRONTEND.execute).text(portal).int32(maxRows).end().bytes
}

/** The types of messages as one string: `TDDCZ`. */
export const typesOf = (messages: readonly BackendMessage[]): string => messages.map(({ type }) => type).join('')

/** A field of the first ErrorResponse, or NoticeResponse with `of` = N: C = SQLSTATE, M = message, H = hint. */
export function errorField(messages: readonly BackendMessage[], code: string, of = 'E'): string | undefined {
  const body = messages.find(({ type }) => type === of)?.body ?? Buffer.alloc(0)
  const field = body
    .toString()
    .split('\0')
    .find((each) => each.startsWith(code))
  return field?.slice(1)
}

/** The columns of DataRow messages, as they came. */
export function rowsOfMessages(messages: readonly BackendMessage[]): readonly (readonly (Buffer | null)[])[] {
  return messages
    .filter(({ type }) => type === 'D')
    .map(({ body }) => {
      const columns: (Buffer | null)[] = []
      let at = 2
      for (let left = body.readInt16BE(0); left > 0; left--) {
        const size = body.readInt32BE(at)
        columns.push(size < 0 ? null : body.subarray(at + 4, at + 4 + size))
        at += 4 + Math.max(0, size)
      }
      return columns
    })
}

/**
 * What a data plane does for the console: takes the client's startup packet, adds what it vouches for, and relays. So
 * that drivers, which cannot send such parameters, can be tried. Returns the directory and port they connect to.
 */
export async function startRelay(
  console: TestConsole,
  access: string,
): Promise<{ readonly host: string; readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const behind = connect(console.path)
    for (const socket of [client, behind]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        client.destroy()
        behind.destroy()
      })
    }
    let head = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk])
      const packet = parseStartup(head, 0, head.length, { bytes: 10_000, parameters: 50 })
      if (packet.kind === 'ssl-request' || packet.kind === 'gss-request') {
        head = head.subarray(packet.total)
        client.write('N')
        return
      }
      if (packet.kind === 'incomplete') return
      client.off('data', onData)
      if (packet.kind === 'startup') {
        behind.write(startup({ ...Object.fromEntries(packet.parameters), 'switchyard.console': access }, packet.minor))
      } else behind.write(head.subarray(0, packet.total))
      behind.write(head.subarray(packet.total))
      client.pipe(behind)
      behind.pipe(client)
    }
    client.on('data', onData)
  })
  const port = 6432
  await new Promise<void>((resolve) => server.listen(join(console.directory, `.s.PGSQL.${port}`), resolve))
  return {
    host: console.directory,
    port,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
