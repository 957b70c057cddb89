import assert from 'node:assert/strict'
import { arch } from 'node:os'
import type { TestContext } from 'node:test'
import type { Region } from '../memory/region.ts'
import type { StepLog } from '../memory/step-log.ts'
import { BufferArena } from './buffer-arena.ts'
import { DeferredWork } from './deferred.ts'
import { Link } from './link.ts'
import type { LinkHost, LinkOwner } from './link-host.ts'
import { LINK_EMPTY } from './link-read.ts'
import { acceptClient, openListener } from './listener.ts'
import { NativeBuffer, native } from './native.ts'
import type { OwnedFd } from './owned-fd.ts'
import { Poller } from './poller.ts'
import { ReadAhead } from './read-ahead.ts'
import { READ_BYTES, READ_HEADROOM, ReadBuffers } from './read-buffers.ts'
import { SendBatch, type SendQueue } from './send-batch.ts'
import { createMemoryFile, SharedMapping } from './shared-memory.ts'
import { localAddress, openSocketPair, receive, send, shutdownWrite, startConnect, WOULD_BLOCK } from './socket.ts'
import { parseSocketAddress } from './socket-address.ts'
import { Steps } from './steps.ts'
import { SubmissionRing } from './submission-ring.ts'
import { UNRECORDED_FIELDS, unrecordedRegion } from './unrecorded-link.ts'

/** An arena of its own in real shared memory, with what was given back to the kernel: pairs of offset and size. */
export function openArena(bytes: number): { arena: BufferArena; discarded: [number, number][] } {
  const file = createMemoryFile('test', bytes)
  const mapping = new SharedMapping(file, bytes)
  file.close()
  const discarded: [number, number][] = []
  const arena = new BufferArena(mapping.window(0, bytes), (offset, count) => {
    discarded.push([offset, count])
    mapping.discard(offset, count)
  })
  return { arena, discarded }
}

/** Null where io_uring is forbidden, as in many containers. */
export function openRingIfAllowed(): SubmissionRing | null {
  try {
    return SubmissionRing.open()
  } catch {
    return null
  }
}

/** What links need, for tests: a poller that is turned by hand, and memory. */
export class TestLinkHost implements LinkHost {
  readonly poller: Poller = new Poller(arch())
  readonly arena: BufferArena
  readonly steps: Steps
  readonly sends: SendBatch
  readonly reads: ReadBuffers
  readonly readAhead: ReadAhead
  readonly ciphertext: NativeBuffer = NativeBuffer.allocate(32_768)
  readonly deferred: DeferredWork = new DeferredWork(() => this.steps.next())
  readonly outbound: NativeBuffer = NativeBuffer.allocate(65_536)
  readonly progress: Int32Array = new Int32Array(1)

  /** `ring`: sends leave in batches, at the end of each turn, and what several events want to read is read together. */
  constructor(arenaBytes: number = 8 * 1024 * 1024, ring: SendQueue | null = null, log: StepLog | null = null) {
    this.arena = openArena(arenaBytes).arena
    this.steps = new Steps(log, this.arena, null)
    this.sends = new SendBatch(ring, this.steps, NativeBuffer.allocate(65_536))
    const buffers = Array.from({ length: 4 }, () => NativeBuffer.allocate(READ_HEADROOM + READ_BYTES))
    this.reads = new ReadBuffers(buffers, this.sends, this.steps)
    this.readAhead = new ReadAhead(ring?.receives ?? null, this.reads, this.sends, this.steps)
    this.poller.ahead = this.readAhead
  }

  get inbound(): NativeBuffer {
    return this.reads.current
  }

  /** One wake-up; how many events there were. */
  turn(waitMs = 0): number {
    const count = this.poller.wait(waitMs)
    this.poller.dispatch(count, () => this.deferred.run())
    do {
      this.deferred.run()
      this.sends.settle()
    } while (!this.deferred.isEmpty)
    return count
  }

  /** Wake-ups until `done`. */
  turnUntil(done: () => boolean): void {
    const deadline = performance.now() + 5000
    while (!done()) {
      assert.ok(performance.now() < deadline, 'waited too long')
      this.turn(1)
    }
  }

  close(): void {
    native.close(this.poller.fd)
  }
}

/** A link on one end of a socket pair, and everything that its owner was told. */
export class TestLink implements LinkOwner {
  readonly region: Region = unrecordedRegion()
  readonly link: Link
  readonly #host: TestLinkHost
  readonly received: Buffer[] = []
  readonly told: string[] = []
  /** The last result of `read` that was no count, if it was not LINK_EMPTY. */
  ending: number | null = null
  /** Done before anything else when there is something to read; throws if the test says so. */
  beforeReading: () => void = () => {}
  onDrainedDo: () => void = () => {}
  isReading = true

  constructor(host: TestLinkHost, fd: OwnedFd) {
    this.#host = host
    this.link = new Link(host, this, this.region, 0, UNRECORDED_FIELDS, fd)
  }

  get text(): string {
    return Buffer.concat(this.received).toString('latin1')
  }

  get bytesRead(): number {
    return this.region.f64[UNRECORDED_FIELDS.bytesRead] ?? -1
  }

  get bytesWritten(): number {
    return this.region.f64[UNRECORDED_FIELDS.bytesWritten] ?? -1
  }

  /** What is read ahead for it and not asked for comes behind an exclamation mark. */
  onReadAhead(count: number): void {
    this.told.push('read ahead')
    this.received.push(Buffer.from('!'), this.#landed(count))
  }

  #landed(count: number): Buffer {
    return Buffer.from(this.#host.inbound.bytes.subarray(READ_HEADROOM, READ_HEADROOM + count))
  }

  /** One `read`, as a session does it: with TLS again and again. */
  onReadable(): void {
    this.told.push('readable')
    this.beforeReading()
    while (!this.link.closed) {
      const count = this.link.read()
      if (count <= 0) {
        if (count !== LINK_EMPTY) this.ending = count
        return
      }
      this.received.push(this.#landed(count))
      if (!this.link.secure) return
    }
  }

  onDrained(): void {
    this.told.push('drained')
    this.onDrainedDo()
  }

  onLost(): void {
    this.told.push('lost')
  }

  onHangUp(): void {
    this.told.push('hang-up')
  }

  onPeerEnd(): void {
    this.told.push('peer end')
  }

  onSave(): void {}

  onFault(error: unknown): void {
    this.told.push(`fault: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The other end: bytes in and out of a socket, without a link. */
export class RawPeer {
  readonly fd: OwnedFd
  readonly #buffer: NativeBuffer = NativeBuffer.allocate(262_144)

  constructor(fd: OwnedFd) {
    this.fd = fd
  }

  /** How many bytes the kernel took. */
  send(bytes: Buffer | string): number {
    const length = this.#buffer.bytes.write(bytes.toString('latin1'), 'latin1')
    return send(this.fd, this.#buffer, 0, length)
  }

  /** At most `most` bytes of what there is; null at the end. */
  receive(most: number = this.#buffer.size): Buffer | null {
    const count = receive(this.fd, this.#buffer, 0, Math.min(most, this.#buffer.size))
    if (count === WOULD_BLOCK) return Buffer.alloc(0)
    return count <= 0 ? null : Buffer.from(this.#buffer.bytes.subarray(0, count))
  }

  /** Sends no more; may still read. */
  end(): void {
    shutdownWrite(this.fd)
  }

  close(): void {
    this.fd.close()
  }
}

/** A native buffer with these bytes. */
export function nativeBytes(bytes: Uint8Array | string): NativeBuffer {
  const source = Buffer.from(bytes as string)
  const target = NativeBuffer.allocate(Math.max(1, source.length))
  target.bytes.set(source)
  return target
}

/** A link on one end of a socket pair and the peer on the other; closed after the test. */
export interface LinkBench {
  readonly host: TestLinkHost
  readonly owner: TestLink
  readonly peer: RawPeer
}

/** `ring`: what is written waits for `host.sends.flush()`, or the end of a turn. */
export function openLink(
  t: TestContext,
  arenaBytes?: number,
  [mine, theirs] = openSocketPair(),
  ring: SendQueue | null = null,
): LinkBench {
  const host = new TestLinkHost(arenaBytes, ring)
  t.after(() => host.close())
  return openLinkOf(t, host, [mine, theirs])
}

/** One more link of the same host. */
export function openLinkOf(t: TestContext, host: TestLinkHost, [mine, theirs] = openSocketPair()): LinkBench {
  const owner = new TestLink(host, mine)
  const peer = new RawPeer(theirs)
  t.after(() => {
    owner.link.close()
    peer.close()
  })
  return { host, owner, peer }
}

/** Both ends of a TCP connection, which end by FIN and RST rather than at once. */
export function openTcpPair(): [OwnedFd, OwnedFd] {
  const listener = openListener(parseSocketAddress('127.0.0.1', 0), { backlog: 1, ipv6Only: false })
  const client = startConnect(localAddress(listener))
  const accepted = acceptClient(listener)
  listener.close()
  assert.ok(typeof accepted !== 'string')
  return [client, accepted.fd]
}

/** Bytes that show where each of them was. */
export function pattern(length: number): NativeBuffer {
  const buffer = NativeBuffer.allocate(length)
  for (let at = 0; at < length; at++) buffer.bytes[at] = (at * 7 + (at >> 8)) & 0xff
  return buffer
}

/** Everything that the peer gets until nothing waits. */
export function collect({ host, owner, peer }: LinkBench): Buffer {
  const parts: Buffer[] = []
  for (;;) {
    const part = peer.receive()
    assert.ok(part !== null)
    parts.push(part)
    if (part.length === 0 && !owner.link.blocked) return Buffer.concat(parts)
    if (part.length === 0) host.turn(1)
  }
}
