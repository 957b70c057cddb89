import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** All numeric addresses of a host name, the preferred first; rejects when there are none. */
export type Resolve = (host: string) => Promise<readonly string[]>

/** Like every program of this machine does (getaddrinfo), IPv4 first. */
export const resolveHost: Resolve = async (host) => {
  const found = await lookup(host, { all: true, order: 'ipv4first' })
  return found.map(({ address }) => address)
}

/** A name may lead elsewhere after a while. */
const RESOLVE_EVERY_MS = 60_000

/**
 * Which numeric address stands for a configured host. Names are looked up again each minute; while that fails, the last
 * answer holds. Of several addresses one is used until it fails, then the next.
 */
export class ShardAddresses {
  readonly #host: string
  readonly #port: number
  readonly #resolve: Resolve
  #known: readonly string[]
  #index = 0
  #resolvedAt = Number.NEGATIVE_INFINITY

  constructor(host: string, port: number, resolve: Resolve) {
    this.#host = host
    this.#port = port
    this.#resolve = resolve
    this.#known = host.startsWith('/') || isIP(host) !== 0 ? [host] : []
  }

  /** A numeric address, the path of a Unix socket, or null while the name could not be resolved. */
  get current(): string | null {
    const address = this.#known[this.#index] ?? null
    return address?.startsWith('/') ? `${address}/.s.PGSQL.${this.#port}` : address
  }

  /** Starts with what `other`, for the same host, knows. */
  assume(other: ShardAddresses): void {
    this.#known = other.#known
    this.#index = other.#index
    this.#resolvedAt = other.#resolvedAt
  }

  /** Resolves the name if that is due. Returns why it could not be resolved, or null. */
  async refresh(now: number): Promise<string | null> {
    const isName = !this.#host.startsWith('/') && isIP(this.#host) === 0
    const isDue = this.#known.length === 0 || now - this.#resolvedAt >= RESOLVE_EVERY_MS
    if (!isName || !isDue) return null
    this.#resolvedAt = now
    try {
      const previous = this.current
      this.#known = await this.#resolve(this.#host)
      this.#index = Math.max(0, previous === null ? 0 : this.#known.indexOf(previous))
      return null
    } catch (error) {
      return `${this.#host} cannot be resolved (${error instanceof Error ? error.message : String(error)})`
    }
  }

  /** The current address did not work. */
  tryNext(): void {
    this.#index = this.#known.length < 2 ? 0 : (this.#index + 1) % this.#known.length
  }
}
