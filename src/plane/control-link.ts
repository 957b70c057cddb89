import type { Link } from '../io/link.ts'
import type { LinkHost } from '../io/link-host.ts'
import { LINK_EMPTY } from '../io/link-read.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { startConnect } from '../io/socket.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import { openUnrecordedLink } from '../io/unrecorded-link.ts'
import type { PlaneCommand, PlaneEvent } from '../memory/control-protocol.ts'
import { encodeFrame, FrameDecoder } from '../memory/frame-codec.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

const REDIAL_MS = 100
/** Events beyond this are dropped and counted: a control process that does not read costs the plane nothing. */
const MOST_WAITING_BYTES = 262_144
/** With so many events to tell there is no use in waiting. */
const MOST_EARLY = 1000

/** The plane whose line it is. */
export interface ControlLinkOwner {
  readonly now: number
  readonly timers: TimerWheel
  /** What to say first. */
  hello(): PlaneEvent
  onCommand(command: PlaneCommand): void
  onEventDropped(): void
  onLost(): void
}

/** The plane's line to the control process. It dials, and dials again for ever; nothing waits for it. */
export class ControlLink {
  /** Too little comes here to read it ahead. */
  readonly isReading = false
  readonly #host: LinkHost
  readonly #owner: ControlLinkOwner
  readonly #path: string
  readonly #redial: Timer
  #link: Link | null = null
  #decoder = new FrameDecoder<PlaneCommand>()
  /** What happens before it dials for the first time, where that is put off. */
  #early: PlaneEvent[] | null = null

  constructor(host: LinkHost, owner: ControlLinkOwner, path: string) {
    this.#host = host
    this.#owner = owner
    this.#path = path
    this.#redial = new Timer(() => this.dial())
  }

  get connected(): boolean {
    return this.#link !== null
  }

  /** Dials so much later, or as soon as somebody waits for an answer: all who have work now come first. */
  dialIn(milliseconds: number): void {
    this.#early = []
    this.#owner.timers.arm(this.#redial, this.#owner.now + milliseconds)
  }

  dial(): void {
    const early = this.#early ?? []
    this.#early = null
    try {
      const fd = startConnect(parseSocketAddress(this.#path, 0))
      this.#decoder = new FrameDecoder()
      this.#link = openUnrecordedLink(this.#host, this, fd)
    } catch {
      // Not there yet, or restarting: the next attempt comes soon, and nothing depends on it.
      this.#lost()
      return
    }
    this.send(this.#owner.hello())
    for (const event of early) this.send(event)
  }

  send(event: PlaneEvent): void {
    if (this.#early !== null) {
      this.#early.push(event)
      // A client cannot log in before.
      if (event.op === 'account' || this.#early.length === MOST_EARLY) this.dial()
      return
    }
    const link = this.#link
    if (link === null || link.waitingBytes > MOST_WAITING_BYTES) {
      this.#owner.onEventDropped()
      return
    }
    if (!link.send(encodeFrame(event)) && this.#link === link) this.#lost()
  }

  onReadAhead(): void {}

  onReadable(): void {
    const link = this.#link
    if (link === null) return
    const count = link.read()
    if (count === LINK_EMPTY) return
    if (count <= 0) {
      this.#lost()
      return
    }
    const chunk = Buffer.from(this.#host.inbound.bytes.subarray(READ_HEADROOM, READ_HEADROOM + count))
    for (const command of this.#decoder.push(chunk)) this.#owner.onCommand(command)
  }

  onDrained(): void {
    // Events wait for nobody, so nobody waits for this.
  }

  onLost(): void {
    this.#lost()
  }

  onPeerEnd(): void {
    // Not asked for.
  }

  onSave(): void {
    // Nobody goes on with it.
  }

  onHangUp(): void {
    this.#lost()
  }

  onFault(error: unknown): void {
    this.#lost()
    throw error
  }

  #lost(): void {
    const was = this.#link
    this.#link = null
    was?.close()
    if (was) this.#owner.onLost()
    this.#owner.timers.arm(this.#redial, this.#owner.now + REDIAL_MS)
  }
}
