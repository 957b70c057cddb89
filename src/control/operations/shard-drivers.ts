import type { Environment } from '../../config/environment.ts'
import type { Config } from '../../config/schema.ts'
import { HookDriver } from '../scaling/drivers/exec/hook-driver.ts'
import { LocalDriver } from '../scaling/drivers/local/local-driver.ts'
import { type LocalServer, localServers } from '../scaling/drivers/local/local-servers.ts'
import { type ShardClaim, ShardClaims } from '../scaling/drivers/local/shard-claims.ts'
import type { ShardDriver } from '../scaling/drivers/shard-driver.ts'

/** Who does the server's part of operations, made anew only when what it is made from has changed. */
export class ShardDrivers {
  readonly #environment: Environment
  readonly #onProgress: (message: string) => void
  #key = ''
  #drivers: readonly ShardDriver[] = []
  #servers: readonly LocalServer[] = []
  readonly #claims = new ShardClaims()

  constructor(environment: Environment, onProgress: (message: string) => void) {
    this.#environment = environment
    this.#onProgress = onProgress
  }

  get all(): readonly ShardDriver[] {
    return this.#drivers
  }

  manages(shard: string): boolean {
    return this.#drivers.some((driver) => driver.manages(shard))
  }

  /**
   * Lets no other router of this machine do anything to these shards, as far as their data is here. Returns the reason when one does
   * already. What a hook does is for the hook to see to.
   */
  async claim(shards: readonly string[]): Promise<ShardClaim | string> {
    return await this.#claims.claim(this.#servers.filter(({ name }) => shards.includes(name)))
  }

  /** Throws ConfigError when a data directory is not there or not ours; then everything stays as it was. */
  apply({ shards, monitor, operations }: Config): void {
    const key = JSON.stringify([shards, monitor, operations])
    if (key === this.#key) return
    const servers = localServers(shards)
    const local = new LocalDriver({
      servers,
      login: { user: monitor.user, password: monitor.password ?? '' },
      environment: this.#environment,
      onProgress: this.#onProgress,
    })
    const others = new Set(shards.map(({ name }) => name).filter((name) => !local.manages(name)))
    const { hook, hookTimeoutMs } = operations
    const hooks = hook === null ? [] : [new HookDriver({ program: hook, shards: others, timeoutMs: hookTimeoutMs })]
    this.#drivers = [local, ...hooks]
    this.#servers = servers
    this.#key = key
  }
}
