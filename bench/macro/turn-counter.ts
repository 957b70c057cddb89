import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cleanup } from './cleanup.ts'
import type { Address } from './peer.ts'

/** A way to a server that takes its time, and counts how often somebody speaks after having been answered. */
export interface TurnCounter {
  readonly address: Address
  /** Turns since the last call, on the connection that has had the most. */
  take(): number
}

/** Listens before `target`; every piece of data is `delayMs` on its way. Stopped by `cleanup`. */
export async function startTurnCounter(target: Address, delayMs: number, cleanup: Cleanup): Promise<TurnCounter> {
  const ways = new Set<Way>()
  const server = createServer({ noDelay: true }, (client) => {
    const way = new Way(client, connect({ host: target.host, port: target.port, noDelay: true }), delayMs)
    ways.add(way)
    client.once('close', () => ways.delete(way))
  })
  const stop = async (): Promise<void> => {
    for (const way of ways) way.close()
    await new Promise((resolve) => server.close(resolve))
  }
  cleanup.add('the turn counter', stop, () => true)
  server.listen(0, target.host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the turn counter has no port')
  return {
    address: { ...target, port: address.port },
    take: () => Math.max(0, ...[...ways].map((way) => way.take())),
  }
}

class Way {
  readonly #client: Socket
  readonly #server: Socket
  #turns = 0
  #isAnswered = true

  constructor(client: Socket, server: Socket, delayMs: number) {
    this.#client = client
    this.#server = server
    const pass = (from: Socket, to: Socket, note: () => void): void => {
      from.on('data', async (data) => {
        note()
        await delay(delayMs)
        if (!to.destroyed) to.write(data)
      })
      from.on('error', () => to.destroy()).on('close', () => to.destroy())
    }
    pass(client, server, () => {
      if (this.#isAnswered) this.#turns++
      this.#isAnswered = false
    })
    pass(server, client, () => {
      this.#isAnswered = true
    })
  }

  take(): number {
    const turns = this.#turns
    this.#turns = 0
    return turns
  }

  close(): void {
    this.#client.destroy()
    this.#server.destroy()
  }
}
