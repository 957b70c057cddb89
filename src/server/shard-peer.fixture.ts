import assert from 'node:assert/strict'
import { RawPeer } from '../io/link-host.fixture.ts'
import { acceptClient, openListener } from '../io/listener.ts'
import { AF_INET } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { HANG_UP, type Poller, type PollTarget, READABLE } from '../io/poller.ts'
import { localAddress, tuneSocket } from '../io/socket.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import { HEADER_BYTES, lengthAt, STATUS } from '../protocol/message-type.ts'
import {
  type ErrorFields,
  writeAuthenticationOk,
  writeBackendKeyData,
  writeCommandComplete,
  writeError,
  writeParameterStatus,
  writeReady,
} from '../protocol/messages.ts'
import { parseStartup } from '../protocol/startup.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { Shard } from '../shard/topology.ts'

const write = (run: (writer: MessageWriter) => void): Buffer => {
  const writer = new MessageWriter()
  run(writer)
  return Buffer.from(writer.bytes)
}

/** By type of message: ParseComplete, CloseComplete, BindComplete, NoData and CommandComplete. */
const AT_ONCE: Readonly<Record<string, Buffer>> = {
  P: Buffer.from('1\0\0\0\x04', 'latin1'),
  C: Buffer.from('3\0\0\0\x04', 'latin1'),
  B: Buffer.from('2\0\0\0\x04', 'latin1'),
  D: Buffer.from('n\0\0\0\x04', 'latin1'),
  E: write((writer) => writeCommandComplete(writer, 'SELECT 0')),
}

/** What a shard does with a new connection. */
export type ShardBehaviour =
  | { readonly kind: 'serve' }
  /** Says this instead of AuthenticationOk, and closes. */
  | { readonly kind: 'refuse'; readonly fields: ErrorFields }
  /** Says nothing, ever. */
  | { readonly kind: 'hang' }

/** For tests: one connection at the shard's side. */
export class TestBackend implements PollTarget {
  readonly peer: RawPeer
  readonly pid: number
  /** Of the startup packet. */
  parameters: ReadonlyMap<string, string> = new Map()
  readonly queries: string[] = []
  /** Types of all messages since the startup packet. */
  types = ''
  /** `+name text` of each statement that is prepared here, and `-name` of each that is closed. */
  readonly statements: string[] = []
  /** The key of a cancel request, if that is what came. */
  cancelled: { pid: number; key: Buffer } | null = null
  /** It was asked for TLS, and has refused. */
  refusedTls = false
  /** The router said goodbye before it closed. */
  terminated = false
  closed = false
  readonly #shard: TestShard
  readonly #poller: Poller
  readonly #key: number
  #bytes: Buffer = Buffer.alloc(0)
  #started = false

  constructor(shard: TestShard, poller: Poller, fd: OwnedFd, pid: number) {
    this.#shard = shard
    this.#poller = poller
    this.peer = new RawPeer(fd)
    tuneSocket(fd, AF_INET)
    this.pid = pid
    this.#key = poller.add(fd, READABLE, this)
  }

  onReady(events: number): void {
    const bytes = this.peer.receive()
    if (bytes === null) {
      this.close()
      return
    }
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    while (!this.closed && this.#step());
    if (!this.closed && (events & HANG_UP) !== 0) this.close()
  }

  send(bytes: Buffer): void {
    assert.equal(this.peer.send(bytes), bytes.length)
  }

  /** The end of a query: idle, or in a transaction. */
  ready(status: number = STATUS.idle): void {
    this.send(write((writer) => writeReady(writer, status)))
  }

  fail(fields: ErrorFields): void {
    this.send(write((writer) => writeError(writer, fields)))
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#poller.remove(this.#key, this.peer.fd)
    this.peer.close()
  }

  #step(): boolean {
    if (!this.#started) return this.#start()
    if (this.#bytes.length < HEADER_BYTES) return false
    const end = 1 + lengthAt(this.#bytes, 1)
    if (this.#bytes.length < end) return false
    const type = String.fromCharCode(this.#bytes[0] as number)
    const body = this.#bytes.subarray(HEADER_BYTES, end)
    this.#bytes = this.#bytes.subarray(end)
    this.types += type
    if (type === 'X') this.terminated = true
    if (type === 'P') this.statements.push(`+${body.toString('utf8', 0, body.length - 3).replace('\0', ' ')}`)
    if (type === 'C') this.statements.push(`-${body.toString('utf8', 1, body.length - 1)}`)
    if (type === 'Q') {
      this.queries.push(body.toString('utf8', 0, body.length - 1))
      this.#shard.onQuery(this)
    } else if (this.#shard.preparesAtOnce) this.#prepare(type)
    return true
  }

  #prepare(type: string): void {
    const answer = AT_ONCE[type]
    if (answer !== undefined) this.send(answer)
    else if (type === 'S') this.ready()
  }

  #start(): boolean {
    const packet = parseStartup(this.#bytes, 0, this.#bytes.length, { bytes: 10_000, parameters: 100 })
    if (packet.kind === 'incomplete') return false
    this.#bytes = this.#bytes.subarray(packet.total)
    if (packet.kind === 'ssl-request') {
      this.refusedTls = true
      this.send(Buffer.from('N'))
      return true
    }
    this.#started = true
    if (packet.kind === 'cancel') {
      this.cancelled = { pid: packet.processId, key: packet.key }
      this.#shard.onCancel(this)
      return false
    }
    assert.ok(packet.kind === 'startup', packet.kind)
    this.parameters = packet.parameters
    const { behaviour } = this.#shard
    if (behaviour.kind === 'serve') this.#welcome()
    else if (behaviour.kind === 'refuse') {
      this.fail(behaviour.fields)
      this.close()
    }
    return true
  }

  #welcome(): void {
    this.send(
      write((writer) => {
        writeAuthenticationOk(writer)
        writeParameterStatus(writer, 'server_version', '18.4')
        for (const [name, value] of this.#shard.reported) writeParameterStatus(writer, name, value)
        writeBackendKeyData(writer, this.pid, Buffer.from(`key ${this.pid}`))
        writeReady(writer, STATUS.idle)
      }),
    )
  }
}

/** For tests: a tiny PostgreSQL that lives in the same poller as what is tested, so that nothing happens unasked. */
export class TestShard implements PollTarget {
  /** Connections in the order in which they came, cancel requests included. */
  readonly backends: TestBackend[] = []
  /** The messages of extended queries are answered, with no rows. */
  preparesAtOnce = false
  /** Settings that it reports at login, besides its version. */
  reported: readonly (readonly [string, string])[] = []
  behaviour: ShardBehaviour = { kind: 'serve' }
  onQuery: (backend: TestBackend) => void = (backend) => backend.ready()
  onCancel: (backend: TestBackend) => void = (backend) => backend.close()
  readonly port: number
  readonly #poller: Poller
  #listener: { fd: OwnedFd; key: number } | null = null

  constructor(poller: Poller) {
    this.#poller = poller
    this.port = this.#listen(0)
  }

  /** Those that are connected. */
  get open(): readonly TestBackend[] {
    return this.backends.filter(({ closed }) => !closed)
  }

  /** As the topology has it. */
  value(id = 0, maxConnections = 100): Shard {
    const name = `db${id}`
    const { port } = this
    return {
      id,
      name,
      group: 'main',
      host: name,
      address: '127.0.0.1',
      port,
      role: 'primary',
      up: true,
      maxConnections,
      slots: null,
      zone: null,
      dataDirectory: null,
      health: 'up',
      adjustment: null,
    }
  }

  onReady(): void {
    for (;;) {
      const accepted = this.#listener === null ? 'empty' : acceptClient(this.#listener.fd)
      if (typeof accepted === 'string') return
      this.backends.push(new TestBackend(this, this.#poller, accepted.fd, 1000 + this.backends.length))
    }
  }

  /** Connections are refused from now on; those that are open stay. */
  stopListening(): void {
    if (this.#listener === null) return
    this.#poller.remove(this.#listener.key, this.#listener.fd)
    this.#listener.fd.close()
    this.#listener = null
  }

  /** Harmless when it listens already. */
  listenAgain(): void {
    if (this.#listener === null) this.#listen(this.port)
  }

  close(): void {
    this.stopListening()
    for (const backend of this.backends) backend.close()
  }

  #listen(port: number): number {
    const fd = openListener(parseSocketAddress('127.0.0.1', port), { backlog: 64, ipv6Only: false })
    this.#listener = { fd, key: this.#poller.add(fd, READABLE, this) }
    return localAddress(fd).port
  }
}
