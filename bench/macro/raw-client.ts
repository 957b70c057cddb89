import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { ScramClient, type ScramClientVerdict } from '../../src/auth/scram-client.ts'
import type { ScramKeyCache } from '../../src/auth/scram-key-cache.ts'
import type { Address } from './peer.ts'

const protocolVersion = 3 << 16
const mechanism = 'SCRAM-SHA-256'
const authentication = { ok: 0, sasl: 10, saslContinue: 11, saslFinal: 12 }

/**
 * Logs in over SCRAM-SHA-256 and returns the socket once the server is ready for a query; nothing but the socket is kept.
 * Rejects with the server's message when it refuses. https://www.postgresql.org/docs/current/protocol-flow.html
 */
export async function openRawClient(address: Address, keyCache: ScramKeyCache): Promise<Socket> {
  const socket = connect({ host: address.host, port: address.port, noDelay: true })
  const scram = new ScramClient({
    credential: { kind: 'password', password: address.password },
    clientNonce: randomBytes(18).toString('base64'),
    offered: [mechanism],
    channelBinding: null,
    keyCache,
  })
  const login = new RawLogin(socket, scram)
  await once(socket, 'connect')
  socket.write(startupMessage({ user: address.user, database: address.database, application_name: 'idle-clients' }))
  await login.done
  return socket
}

/** Reads messages until ReadyForQuery and answers those about authentication. Takes its listeners off the socket at the end. */
class RawLogin {
  readonly done: Promise<void>
  readonly #socket: Socket
  readonly #scram: ScramClient
  #pending: Buffer = Buffer.alloc(0)

  constructor(socket: Socket, scram: ScramClient) {
    this.#socket = socket
    this.#scram = scram
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onData = (chunk: Buffer): void => {
      try {
        if (this.#take(chunk)) resolve()
      } catch (error) {
        reject(error)
      }
    }
    const onClose = (): void => reject(new Error('the server closed the connection during the login'))
    socket.on('data', onData).on('close', onClose).on('error', reject)
    this.done = promise.finally(() => socket.off('data', onData).off('close', onClose).off('error', reject))
    this.done.catch(() => socket.destroy())
  }

  /** True once the server is ready for a query. */
  #take(chunk: Buffer): boolean {
    this.#pending = Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= 5) {
      const end = 1 + this.#pending.readInt32BE(1)
      if (this.#pending.length < end) return false
      const type = String.fromCharCode(this.#pending[0] ?? 0)
      const body = this.#pending.subarray(5, end)
      this.#pending = this.#pending.subarray(end)
      if (type === 'Z') return true
      if (type === 'E') throw new Error(`the server refused the login: ${errorText(body)}`)
      if (type === 'R') this.#authenticate(body.readInt32BE(0), body.subarray(4))
    }
    return false
  }

  #authenticate(request: number, data: Buffer): void {
    if (request === authentication.ok) return
    if (request === authentication.sasl) {
      const first = dataOf(this.#scram.first())
      const length = Buffer.alloc(4)
      length.writeInt32BE(first.length)
      this.#socket.write(message('p', Buffer.from(`${mechanism}\0`), length, first))
    } else if (request === authentication.saslContinue) {
      this.#socket.write(message('p', dataOf(this.#scram.final(data))))
    } else if (request === authentication.saslFinal) {
      dataOf(this.#scram.verify(data))
    } else {
      throw new Error(`the server asks for authentication method ${request}; this client only knows SCRAM-SHA-256`)
    }
  }
}

function dataOf(verdict: ScramClientVerdict): Buffer {
  if (verdict.kind === 'failed') throw new Error(`SCRAM login failed: ${verdict.reason}`)
  return verdict.kind === 'continue' ? verdict.data : Buffer.alloc(0)
}

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const header = Buffer.alloc(5)
  header.write(type, 0, 'latin1')
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}

function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.from(`${Object.entries(parameters).flat().join('\0')}\0\0`)
  const header = Buffer.alloc(8)
  header.writeInt32BE(body.length + 8, 0)
  header.writeInt32BE(protocolVersion, 4)
  return Buffer.concat([header, body])
}

/** The fields of an ErrorResponse that say something: `SQLSTATE message`. */
function errorText(body: Buffer): string {
  const fields = body.toString('utf8').split('\0')
  const field = (code: string): string => fields.find((text) => text.startsWith(code))?.slice(1) ?? ''
  return `${field('C')} ${field('M')}`
}
