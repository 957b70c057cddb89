import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { WireAddress } from './wire-client.ts'
import { frame, int16, int32, text } from './wire-frames.ts'
import { WireStream } from './wire-stream.ts'

const SSL_REQUEST_CODE = 80877103
const GSSENC_REQUEST_CODE = 80877104
const CANCEL_REQUEST_CODE = 80877102

/** Frames a server sends. */
export const answer = {
  authenticationOk: (): Buffer => frame('R', int32(0)),
  parameterStatus: (name: string, value: string): Buffer => frame('S', text(name), text(value)),
  backendKeyData: (pid: number, key: Buffer): Buffer => frame('K', int32(pid), key),
  ready: (status: 'I' | 'T' | 'E' = 'I'): Buffer => frame('Z', status),
  complete: (tag: string): Buffer => frame('C', text(tag)),
  error: (sqlstate: string, message: string, severity = 'ERROR'): Buffer =>
    frame('E', text(`S${severity}`), text(`V${severity}`), text(`C${sqlstate}`), text(`M${message}`), '\0'),
  /** One text column. */
  rowDescription: (name: string): Buffer =>
    frame('T', int16(1), text(name), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)),
  dataRow: (value: string): Buffer => frame('D', int16(1), int32(Buffer.byteLength(value)), value),
}

/** The server's side of one connection, after its startup packet was read. */
export class FakePeer extends WireStream {
  /** Of the startup packet. */
  readonly parameters: Readonly<Record<string, string>>
  readonly packet: Buffer

  constructor(stream: WireStream, packet: Buffer) {
    super(stream.socket)
    this.packet = packet
    const words = packet.toString('utf8', 8, packet.length - 2).split('\0')
    this.parameters = Object.fromEntries(
      words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1] ?? '']] : [])),
    )
  }

  /** Lets the client in as PostgreSQL 18 would, without asking for a password. */
  acceptLogin(pid = 4711): void {
    this.send(
      answer.authenticationOk(),
      answer.parameterStatus('server_version', '18.4'),
      answer.parameterStatus('client_encoding', 'UTF8'),
      answer.parameterStatus('DateStyle', 'ISO, MDY'),
      answer.parameterStatus('TimeZone', 'UTC'),
      answer.parameterStatus('standard_conforming_strings', 'on'),
      answer.backendKeyData(pid, Buffer.from('key!')),
      answer.ready(),
    )
  }

  /** Answers every simple query with one text value until the client leaves; `reply` may do something else instead. */
  async answerQueries(reply: (sql: string, peer: FakePeer) => string | null | Promise<string | null>): Promise<void> {
    while (this.ending === null) {
      const message = await this.next(60_000)
      if (message.type === 'X') return this.close()
      if (message.type !== 'Q') continue
      const value = await reply(message.strings[0] ?? '', this)
      if (value === null) continue
      this.send(answer.rowDescription('value'), answer.dataRow(value), answer.complete('SELECT 1'), answer.ready())
    }
  }
}

export interface FakeServerOptions {
  /** Connections of this user go to a real server: the router's own probes of the shard. */
  readonly probes: { readonly user: string; readonly server: WireAddress }
  /** Serves one connection; an exception closes it. */
  readonly serve: (peer: FakePeer) => Promise<void>
}

/** A PostgreSQL server that does exactly what a test says, for bytes and deaths that a real one cannot be asked for. */
export class FakeServer {
  readonly host = '127.0.0.1'
  /** Connections that were served, probes not counted. */
  readonly peers: FakePeer[] = []
  /** CancelRequests that came: process id and key. */
  readonly cancels: { pid: number; key: Buffer }[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #options: FakeServerOptions

  private constructor(options: FakeServerOptions) {
    this.#options = options
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      this.#serve(socket).catch(() => socket.destroy())
    })
  }

  static async start(options: FakeServerOptions): Promise<FakeServer> {
    const server = new FakeServer(options)
    server.#server.listen(0, server.host)
    await once(server.#server, 'listening')
    return server
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the fake server is closed')
    return address.port
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #serve(socket: Socket): Promise<void> {
    const stream = new WireStream(socket)
    for (;;) {
      const head = await stream.raw(4)
      const packet = Buffer.concat([head, await stream.raw(head.readInt32BE(0) - 4)])
      const code = packet.readInt32BE(4)
      if (code === SSL_REQUEST_CODE || code === GSSENC_REQUEST_CODE) {
        stream.send(Buffer.from('N'))
        continue
      }
      if (code === CANCEL_REQUEST_CODE) {
        this.cancels.push({ pid: packet.readInt32BE(8), key: packet.subarray(12) })
        return stream.close()
      }
      for (const event of ['data', 'end', 'error', 'close']) socket.removeAllListeners(event)
      socket.on('close', () => this.#sockets.delete(socket))
      return await this.#greet(new FakePeer(stream, packet))
    }
  }

  async #greet(peer: FakePeer): Promise<void> {
    const { probes, serve } = this.#options
    if (peer.parameters.user !== probes.user) {
      this.peers.push(peer)
      return await serve(peer)
    }
    for (const event of ['data', 'end', 'error']) peer.socket.removeAllListeners(event)
    const real = connect(probes.server)
    real.on('error', () => peer.socket.destroy())
    peer.socket.on('error', () => real.destroy())
    real.write(peer.packet)
    peer.socket.pipe(real).pipe(peer.socket)
  }
}
