import { Socket } from 'node:net'
import { type ControlReport, encodeLine, type KeeperOrder, LineDecoder } from '../memory/keeper-control-protocol.ts'

/** Who hears what the keeper says. */
export interface KeeperLineHooks {
  readonly onOrder: (order: KeeperOrder) => void
  /** The keeper is dead, or has sent something unreadable. */
  readonly onLost: (error: Error | null) => void
}

/** Control's end of the lines to and from the keeper. Owns the descriptor. */
export class KeeperLine {
  readonly #socket: Socket

  constructor(fd: number, hooks: KeeperLineHooks) {
    this.#socket = new Socket({ fd, readable: true, writable: true })
    const decoder = new LineDecoder<KeeperOrder>()
    let failure: Error | null = null
    this.#socket.setEncoding('utf8')
    this.#socket.on('data', (chunk: string) => {
      for (const order of decoder.push(chunk)) hooks.onOrder(order)
    })
    this.#socket.on('error', (error) => {
      failure = error
    })
    this.#socket.on('close', () => hooks.onLost(failure))
  }

  report(report: ControlReport): void {
    if (!this.#socket.destroyed) this.#socket.write(encodeLine(report))
  }

  /** Sends a last report; settles when the keeper's kernel has it. */
  async reportLast(report: ControlReport): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.write(encodeLine(report), () => resolve()))
  }
}
