import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import type { Link } from '../io/link.ts'
import { RawPeer } from '../io/link-host.fixture.ts'
import type { LinkOwner } from '../io/link-host.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { openSocketPair } from '../io/socket.ts'
import { TlsContext } from '../io/tls-context.ts'
import { openUnrecordedLink } from '../io/unrecorded-link.ts'
import { STATUS } from '../protocol/message-type.ts'
import * as messages from '../protocol/messages.ts'
import { parseStartup } from '../protocol/startup.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerTlsMode } from '../shard/plane-values.ts'
import { type HandshakeOwner, ServerHandshake } from './server-handshake.ts'
import { openServerHost, type TestServerHost } from './server-host.fixture.ts'
import type { ServerLogin } from './server-login.ts'
import type { ServerTarget } from './server-target.ts'

/** What the server shows for itself. */
export const { certificate: certificatePem, key: keyPem } = new CertificateAuthority('Example CA').issue({
  commonName: 'db1',
})
const NO_FILES = { caPem: null, certificatePem: null, keyPem: null } as const

/** Messages of a server. */
export const write = (run: (writer: MessageWriter) => void): Buffer => {
  const writer = new MessageWriter()
  run(writer)
  return Buffer.from(writer.bytes)
}
/** AuthenticationOk. */
export const OK = write(messages.writeAuthenticationOk)
/** All that a server says that lets somebody in unasked. */
export const WELCOME = Buffer.concat([
  OK,
  write((writer) => messages.writeParameterStatus(writer, 'server_version', '18.4')),
  write((writer) => messages.writeBackendKeyData(writer, 77, Buffer.from('key'))),
  write((writer) => messages.writeReady(writer, STATUS.idle)),
])

/** One handshake on one end of a socket pair, read for as a server connection does it, and what it came to. */
class Shaken implements HandshakeOwner, LinkOwner {
  readonly link: Link
  readonly handshake: ServerHandshake
  readonly told: string[] = []
  login: ServerLogin | null = null
  /** Of what was read last, bytes that were not used. */
  unused = 0

  constructor(host: TestServerHost, fd: OwnedFd, target: ServerTarget) {
    this.link = openUnrecordedLink(host, this, fd)
    this.handshake = new ServerHandshake(host, this, target)
  }

  readonly isReading = false
  onReadAhead(): void {}

  onReadable(): void {
    if (this.handshake.securing) this.handshake.secure()
    while (!this.handshake.securing) {
      const count = this.link.read()
      if (count <= 0) return
      const end = READ_HEADROOM + count
      this.unused = end - this.handshake.consume(READ_HEADROOM, end)
    }
  }

  onSave(): void {}

  onSecured(tls: string): void {
    this.told.push(`secured ${tls}`)
  }

  onLoggedIn(login: ServerLogin): void {
    this.told.push('logged in')
    this.login = login
  }

  onRefused(reason: string, fields: messages.ErrorFields | null): void {
    this.told.push(`refused: ${reason}${fields === null ? '' : ` (${fields.sqlstate})`}`)
  }

  onFault(error: unknown): void {
    throw error
  }

  onDrained(): void {}
  onHangUp(): void {}
  onPeerEnd(): void {}
  onLost(): void {
    this.told.push(`lost: ${this.link.failure}`)
  }
}

/** A handshake, and the server that it is with. */
export interface Bench {
  readonly host: TestServerHost
  readonly owner: Shaken
  readonly shard: RawPeer
  /** The shard says this, and what follows happens. */
  say(bytes: Buffer | string): void
  /** What the shard has got: `TLS?` or the user of a startup message, or the bytes. */
  heard(): string
}

/** One that is closed after the test. */
export function openHandshake(t: TestContext, mode: ServerTlsMode, address = '127.0.0.1'): Bench {
  const host = openServerHost(t)
  const context = mode === 'disable' ? null : TlsContext.forClient({ ...NO_FILES, verify: 'none' })
  host.serverTls = { mode, context }
  const [mine, theirs] = openSocketPair()
  const target: ServerTarget = {
    shard: {
      id: 0,
      name: 'db1',
      group: 'main',
      host: 'db1',
      address,
      port: 5432,
      role: 'primary',
      up: true,
      maxConnections: 1,
      slots: null,
      zone: null,
      dataDirectory: null,
      health: 'up',
      adjustment: null,
    },
    user: 'ada',
    database: 'shop',
    credential: { scram: { kind: 'password', password: 'secret' }, password: 'secret', md5Hash: null },
    startup: [],
  }
  const owner = new Shaken(host, mine, target)
  const shard = new RawPeer(theirs)
  t.after(() => {
    owner.link.close()
    shard.close()
    context?.free()
  })
  const say = (bytes: Buffer | string): void => {
    assert.equal(shard.send(bytes), bytes.length)
    host.settle()
  }
  return { host, owner, shard, say, heard: () => startupOf(shard.receive() ?? Buffer.alloc(0)) }
}

/** What came first: `TLS?`, the user of a startup message, or the bytes themselves. */
export function startupOf(bytes: Buffer): string {
  const packet = parseStartup(bytes, 0, bytes.length, { bytes: 10_000, parameters: 10 })
  if (packet.kind === 'ssl-request') return 'TLS?'
  return packet.kind === 'startup' ? (packet.parameters.get('user') ?? '') : bytes.toString('latin1')
}
