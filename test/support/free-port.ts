import { once } from 'node:events'
import { createServer } from 'node:net'

/** Two that are asked for before either is used must not be the same. */
const given = new Set<number>()

/**
 * A TCP port nobody listens on. Below the range from which the kernel takes ports for outgoing connections, so that none
 * of the many connections of other tests takes it before its user listens.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 11_000 + Math.floor(Math.random() * 20_000)
    if (given.has(port)) continue
    const server = createServer()
    try {
      server.listen({ port, host: '127.0.0.1', exclusive: true })
      await once(server, 'listening')
      given.add(port)
      return port
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    } finally {
      server.close()
    }
  }
}
