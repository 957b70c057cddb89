import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { ConfigError } from '../../../../errors.ts'
import { LocalClusterError, systemErrorCode } from './local-cluster-error.ts'

/** True when a server could listen on 127.0.0.1:`port` now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => {
      const code = systemErrorCode(error)
      if (code === 'EADDRINUSE' || code === 'EACCES') resolve(false)
      else reject(error)
    })
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Which shard listens on which port of 127.0.0.1: the operator's wish, else the one it had last, else a free one. */
export class PortBook {
  readonly #ports: Map<string, number>
  readonly #wanted: ReadonlyMap<string, number>
  readonly #taken: Set<number>

  /**
   * @param remembered ports of earlier starts by shard name
   * @param wanted ports that the operator chose by shard name
   */
  constructor(remembered: Readonly<Record<string, number>>, wanted: ReadonlyMap<string, number>) {
    this.#ports = new Map(Object.entries(remembered))
    this.#wanted = wanted
    this.#taken = new Set([...this.#ports.values(), ...wanted.values()])
  }

  /** Ports by shard name, to be remembered. */
  get ports(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#ports)
  }

  /** The port that the operator chose for a shard. */
  wanted(name: string): number | undefined {
    return this.#wanted.get(name)
  }

  /** Notes the port that a running shard listens on. */
  note(name: string, port: number): void {
    this.#ports.set(name, port)
    this.#taken.add(port)
  }

  /**
   * A port that is free now for a shard about to start.
   *
   * @throws ConfigError when the operator chose one that is taken
   */
  async portFor(name: string): Promise<number> {
    const wanted = this.#wanted.get(name)
    const known = wanted ?? this.#ports.get(name)
    if (known !== undefined && (await isPortFree(known))) {
      this.note(name, known)
      return known
    }
    if (wanted !== undefined) {
      throw new ConfigError(
        `Port ${wanted} of 127.0.0.1, which is chosen for ${name}, is taken by another program. Choose another one.`,
      )
    }
    const port = await this.#chooseFreePort()
    this.note(name, port)
    return port
  }

  /** Below the range from which the kernel takes ports for outgoing connections (32768 and up), so that it stays free. */
  async #chooseFreePort(): Promise<number> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const port = randomInt(15_000, 32_000)
      if (this.#taken.has(port)) continue
      // Taken before it is tested: other shards choose at the same time.
      this.#taken.add(port)
      if (await isPortFree(port)) return port
    }
    throw new LocalClusterError('No free TCP port was found on 127.0.0.1 between 15000 and 32000.')
  }
}
