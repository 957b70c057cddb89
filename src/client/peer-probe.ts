import { writeParameterStatus } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { Timer } from '../util/timer-wheel.ts'
import type { ClientHost } from './client-host.ts'
import type { ReaderSession } from './client-reader.ts'

/** Time for what was asked to be finished for a client that does not wait for the answer. */
const GRACE_MS = 1000
const writer = new MessageWriter()

/**
 * A client that has closed its sending side may listen still, or be gone, and the kernel cannot tell which until something
 * is sent to it. The value of a parameter is always allowed. If the client is gone, its kernel says so and the session's
 * `onHangUp` follows.
 */
export class PeerProbe {
  readonly #host: ClientHost
  readonly #session: ReaderSession
  #timer: Timer | null = null

  constructor(host: ClientHost, session: ReaderSession) {
    this.#host = host
    this.#session = session
  }

  /** Asks after a while, unless `stop` comes first. */
  askLater(): void {
    this.#timer ??= new Timer(() => this.#expire())
    this.#host.timers.arm(this.#timer, this.#host.now + GRACE_MS)
  }

  stop(): void {
    if (this.#timer) this.#host.timers.disarm(this.#timer)
  }

  /** Not between the parts of a message. */
  ask(): void {
    const encoding = this.#session.settings.parameters?.values.get('client_encoding')
    if (encoding === undefined) return
    writeParameterStatus(writer.reset(), 'client_encoding', encoding)
    this.#session.send(writer.bytes)
  }

  #expire(): void {
    // A message on its way to the client asks as well.
    if (this.#session.seat.server?.relay.midMessage) this.askLater()
    else this.ask()
  }
}
