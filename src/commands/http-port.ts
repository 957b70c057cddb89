import { createServer } from 'node:net'
import { ConfigError } from '../errors.ts'

/**
 * Control opens the HTTP server, late and in another process; whoever starts the router learns here, at once, that the
 * port cannot be had. Rejects with `ConfigError`.
 */
export async function requireFreeHttpPort({ address, port }: { address: string; port: number }): Promise<void> {
  if (port === 0) return
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, address, resolve)
    })
  } catch (error) {
    throw new ConfigError(explain(address, port, error))
  }
  await new Promise((resolve) => server.close(resolve))
}

function explain(address: string, port: number, error: unknown): string {
  const remedy = 'choose another with http.port or SWITCHYARD_HTTP_PORT.'
  if (error instanceof Error && 'code' in error) {
    if (error.code === 'EADDRINUSE') {
      return `Port ${port} on ${address}, for HTTP, is taken by another program; stop it, or ${remedy}`
    }
    if (error.code === 'EADDRNOTAVAIL') {
      return `This machine has no address ${address} for HTTP; write one of its own in http.address.`
    }
  }
  return `The HTTP server cannot use port ${port} on ${address} (${String(error)}); ${remedy}`
}
