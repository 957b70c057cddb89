import { createHash } from 'node:crypto'
import { connect as connectTcp, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { ScramClient } from './scram-client.ts'
import * as wire from './wire-frames.ts'
import type { WireMessage } from './wire-message.ts'
import { WireStream } from './wire-stream.ts'

export interface WireAddress {
  /** An address, or the directory of a Unix socket. */
  readonly host: string
  readonly port: number
}

export interface LoginOptions {
  readonly user: string
  readonly database: string
  readonly password?: string
  readonly parameters?: Readonly<Record<string, string>>
  readonly protocol?: number
  /** Bind SCRAM to the TLS channel and refuse to go without. */
  readonly bindChannel?: boolean
}

/** An ErrorResponse where none was wanted. */
export class WireError extends Error {
  readonly sqlstate: string
  readonly response: WireMessage
  constructor(response: WireMessage) {
    super(`${response.fields.S} ${response.sqlstate}: ${response.fields.M}`)
    this.name = 'WireError'
    this.sqlstate = response.sqlstate
    this.response = response
  }
}

/** A PostgreSQL client for tests: the stream plus startup, TLS, authentication and the usual exchanges. */
export class WireClient extends WireStream {
  /** From BackendKeyData, once `login` passed. */
  cancelPid = 0
  cancelKey: Buffer = Buffer.alloc(0)
  /** Latest ParameterStatus of each name that was read. */
  readonly parameters = new Map<string, string>()
  /** NegotiateProtocolVersion of `login`, if one came. */
  negotiated: WireMessage | null = null
  /** How the server asked for a password (`AuthenticationXxx` code), 0 when it did not. */
  authentication = 0

  static async connect(address: WireAddress): Promise<WireClient> {
    return new WireClient(await dial(address))
  }

  /** TLS from the first byte; the server's certificate is not checked unless `options` says so. */
  static async connectDirectTls(address: WireAddress, options: ConnectionOptions = {}): Promise<WireClient> {
    const client = await WireClient.connect(address)
    await client.startTls({ ALPNProtocols: ['postgresql'], ...options })
    return client
  }

  /** Connected and logged in. */
  static async open(address: WireAddress, login: LoginOptions): Promise<WireClient> {
    const client = await WireClient.connect(address)
    try {
      await client.login(login)
      return client
    } catch (error) {
      client.close()
      throw error
    }
  }

  get tls(): TLSSocket {
    return this.socket as TLSSocket
  }

  override async next(timeoutMs?: number): Promise<WireMessage> {
    const message = await super.next(timeoutMs)
    if (message.type === 'S' && message.body.length > 0) {
      this.parameters.set(message.strings[0] ?? '', message.strings[1] ?? '')
    }
    return message
  }

  /** A simple query and its answer up to ReadyForQuery. */
  async query(sql: string, timeoutMs?: number): Promise<WireMessage[]> {
    this.send(wire.query(sql))
    return await this.until('Z', timeoutMs)
  }

  /** Sends frames and reads to the `count`-th ReadyForQuery. */
  async exchange(frames: Buffer, count = 1): Promise<WireMessage[]> {
    this.send(frames)
    const messages: WireMessage[] = []
    for (let n = 0; n < count; n += 1) messages.push(...(await this.until('Z')))
    return messages
  }

  /** SSLRequest, its one-byte answer, and the handshake if the answer is `S`. */
  async requestTls(options: ConnectionOptions = {}): Promise<'S' | 'N'> {
    this.send(wire.SSL_REQUEST)
    const answer = (await this.raw(1)).toString('latin1')
    if (answer !== 'S' && answer !== 'N') throw new Error(`SSLRequest was answered with ${JSON.stringify(answer)}`)
    if (answer === 'S') await this.startTls(options)
    return answer
  }

  /** `through`: what the ciphertext goes through, on its way to the socket. */
  async startTls(options: ConnectionOptions = {}, through = (bare: Socket): Duplex => bare): Promise<void> {
    await this.rewrap(async (bare) => {
      const socket = connectTls({ rejectUnauthorized: false, ...options, socket: through(bare) })
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const ended = () => reject(new Error('the connection was closed during the TLS handshake'))
      socket.once('secureConnect', resolve).once('error', reject).once('close', ended)
      await promise
      socket.off('error', reject).off('close', ended)
      return socket
    })
  }

  /** Startup packet, authentication by whatever the server asks for, and everything up to ReadyForQuery. */
  async login(options: LoginOptions): Promise<WireMessage[]> {
    const { user, database, parameters, protocol } = options
    this.send(wire.startup({ user, database, ...parameters }, protocol))
    const messages: WireMessage[] = []
    for (;;) {
      const message = await this.next()
      messages.push(message)
      if (message.type === 'E') throw new WireError(message)
      if (message.type === 'R') messages.push(...(await this.#authenticate(message, options)))
      if (message.type === 'v') this.negotiated = message
      if (message.type === 'K') {
        this.cancelPid = message.body.readInt32BE(0)
        this.cancelKey = Buffer.from(message.body.subarray(4))
      }
      if (message.type === 'Z') return messages
    }
  }

  async #authenticate(request: WireMessage, options: LoginOptions): Promise<WireMessage[]> {
    const kind = request.body.readInt32BE(0)
    if (kind !== 0 && kind < 11) this.authentication = kind
    const password = options.password ?? ''
    if (kind === 3) this.send(wire.password(password))
    if (kind === 5) this.send(wire.password(md5Answer(options.user, password, request.body.subarray(4))))
    if (kind !== 10) return []
    const certificate = options.bindChannel === true ? this.tls.getPeerCertificate().raw : undefined
    const scram = new ScramClient(certificate === undefined ? { password } : { password, certificate })
    const offered = request.body.toString('utf8', 4).split('\0').filter(Boolean)
    if (!offered.includes(scram.mechanism)) throw new Error(`${scram.mechanism} is not offered, only ${offered}`)
    this.send(wire.frame('p', wire.text(scram.mechanism), wire.int32(scram.first.length), scram.first))
    const proceed = await this.#expect('R')
    this.send(wire.frame('p', scram.final(proceed.body.toString('utf8', 4))))
    const final = await this.#expect('R')
    scram.verify(final.body.toString('utf8', 4))
    return [proceed, final]
  }

  async #expect(type: string): Promise<WireMessage> {
    const message = await this.next()
    if (message.type === 'E') throw new WireError(message)
    if (message.type !== type) throw new Error(`expected ${type}, got ${message}`)
    return message
  }

  /** Says goodbye (Terminate) and waits for the peer to close. */
  async goodbye(): Promise<void> {
    this.send(wire.terminate())
    await this.untilClosed()
    this.close()
  }
}

/** Sends a CancelRequest and waits until the server has closed that connection, as libpq does. */
export async function sendCancel(address: WireAddress, pid: number, key: Buffer): Promise<void> {
  const client = await WireClient.connect(address)
  client.send(wire.cancelRequest(pid, key))
  const { messages } = await client.untilClosed()
  client.close()
  if (messages.length > 0) throw new Error(`a CancelRequest was answered: ${messages.join(' ')}`)
}

async function dial({ host, port }: WireAddress): Promise<Socket> {
  const place = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
  const socket = connectTcp({ ...place, allowHalfOpen: true, noDelay: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('connect', resolve).once('error', reject)
  await promise
  socket.off('error', reject)
  return socket
}

function md5Answer(user: string, password: string, salt: Uint8Array): string {
  const md5 = (...parts: (string | Uint8Array)[]): string => {
    const hash = createHash('md5')
    for (const part of parts) hash.update(part)
    return hash.digest('hex')
  }
  return `md5${md5(md5(password, user), salt)}`
}
