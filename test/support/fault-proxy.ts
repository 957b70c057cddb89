import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { resetSocket } from './reset-socket.ts'
import type { WireAddress } from './wire-client.ts'

/**
 * What the proxy does to the connections that go through it:
 * - pass: nothing.
 * - refuse: nobody listens; what is connected stays as it is.
 * - reset: accepts, then RST; what is connected is reset too.
 * - black-hole: accepts and is silent; what is connected becomes silent, without FIN or RST.
 * - half-open: what the target says goes nowhere; what it is told arrives. It is reset when that is over.
 * - delay: each arrival of bytes, in both directions, waits `ms`.
 * - throttle: at most `bytesPerSecond` from the target to the connecting side.
 * - cut: resets both sides when `afterBytes` more bytes have come from the target, on each new connection.
 */
export type Fault =
  | { readonly kind: 'pass' | 'refuse' | 'reset' | 'black-hole' | 'half-open' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  | { readonly kind: 'cut'; readonly afterBytes: number }

interface Pair {
  readonly near: Socket
  readonly far: Socket
  /** From the target while the fault is `cut`. */
  answered: number
  /** Bytes were thrown away: nothing that follows can be understood. */
  isMaimed: boolean
}

/** A TCP proxy with faults, to stand between the router and a shard. `close` ends it and all that goes through. */
export class FaultProxy {
  readonly host: string
  /** Connections accepted so far. */
  accepted = 0
  #server: Server
  #port = 0
  #fault: Fault = { kind: 'pass' }
  readonly #target: WireAddress
  readonly #pairs = new Set<Pair>()
  readonly #silent = new Set<Socket>()

  private constructor(target: WireAddress, host: string) {
    this.host = host
    this.#target = target
    this.#server = this.#newServer()
  }

  /** @param host where it listens; all of 127.0.0.0/8 is there on Linux. `port`: 0 for any that is free */
  static async start(target: WireAddress, host = '127.0.0.1', port = 0): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, host)
    await proxy.#listen(port)
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** Connections open now. */
  get open(): number {
    return this.#pairs.size
  }

  /** From now on; see `Fault` for what happens to connections that exist. */
  async inject(fault: Fault): Promise<void> {
    const before = this.#fault
    this.#fault = fault
    if (fault.kind === 'reset') this.resetAll()
    for (const pair of this.#pairs) this.#setFlow(pair, fault.kind !== 'black-hole')
    if (fault.kind === 'refuse' && before.kind !== 'refuse') this.#server.close()
    if (fault.kind !== 'refuse' && before.kind === 'refuse') await this.#listen()
  }

  async heal(): Promise<void> {
    for (const socket of this.#silent) socket.destroy()
    this.#silent.clear()
    for (const pair of this.#pairs) if (pair.isMaimed) this.#reset(pair)
    await this.inject({ kind: 'pass' })
  }

  /** RST to both sides of everything that is open. */
  resetAll(): void {
    for (const { near, far } of this.#pairs) {
      resetSocket(near)
      resetSocket(far)
    }
    this.#pairs.clear()
  }

  async close(): Promise<void> {
    this.resetAll()
    for (const socket of this.#silent) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #newServer(): Server {
    return createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near))
  }

  async #listen(port = this.#port): Promise<void> {
    if (this.#port !== 0) this.#server = this.#newServer()
    this.#server.listen(port, this.host)
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (address !== null && typeof address === 'object') this.#port = address.port
  }

  #accept(near: Socket): void {
    this.accepted += 1
    near.on('error', () => near.destroy())
    if (this.#fault.kind === 'reset') {
      resetSocket(near)
      return
    }
    if (this.#fault.kind === 'black-hole') {
      near.pause()
      this.#silent.add(near)
      return
    }
    const far = connect({ host: this.#target.host, port: this.#target.port, allowHalfOpen: true, noDelay: true })
    const pair: Pair = { near, far, answered: 0, isMaimed: false }
    this.#pairs.add(pair)
    far.on('error', () => far.destroy())
    this.#relay(pair, near, far)
    this.#relay(pair, far, near)
  }

  #relay(pair: Pair, from: Socket, to: Socket): void {
    const held: Buffer[] = []
    from.on('data', (chunk: Buffer) => {
      const fault = this.#fault
      if (pair.isMaimed && from === pair.far) return
      if (fault.kind === 'half-open' && from === pair.far) {
        pair.isMaimed = true
        return
      }
      if (fault.kind === 'cut' && from === pair.far) {
        pair.answered += chunk.length
        if (pair.answered > fault.afterBytes) {
          to.write(chunk.subarray(0, chunk.length - (pair.answered - fault.afterBytes)), () => this.#reset(pair))
          return
        }
      }
      let pauseMs = fault.kind === 'delay' ? fault.ms : 0
      if (fault.kind === 'throttle' && from === pair.far) pauseMs = (chunk.length / fault.bytesPerSecond) * 1000
      if (pauseMs > 0 || held.length > 0) {
        from.pause()
        // A fault that ends meanwhile must not let later bytes pass by.
        if (held.push(chunk) > 1) return
        setTimeout(() => {
          for (const waiting of held.splice(0)) to.write(waiting)
          from.resume()
        }, pauseMs)
      } else if (!to.write(chunk)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
    from.on('end', () => {
      for (const waiting of held.splice(0)) to.write(waiting)
      if (this.#fault.kind !== 'half-open' || from === pair.near) to.end()
    })
    from.on('close', () => {
      to.destroy()
      this.#pairs.delete(pair)
    })
  }

  #reset(pair: Pair): void {
    resetSocket(pair.near)
    resetSocket(pair.far)
  }

  #setFlow(pair: Pair, flowing: boolean): void {
    for (const socket of [pair.near, pair.far]) {
      if (flowing) socket.resume()
      else socket.pause()
    }
  }
}
