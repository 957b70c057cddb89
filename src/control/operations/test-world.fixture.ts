import type { Shard, ShardHealth, ShardRole, Topology } from '../../shard/topology.ts'
import type { Lsn } from '../../util/lsn.ts'
import { freezeShard } from '../failover/failover.fixture.ts'
import type { AddedShard } from '../scaling/added-shard.ts'
import type { ShardDriver, WalPosition } from '../scaling/drivers/shard-driver.ts'
import type { ScaleWorld } from '../scaling/scale-world.ts'
import type { OperationScript, OperationWorld } from './operation.ts'

/** For tests of scripts: shards that are only values, and the story of what was done to them. */
export class TestWorld implements OperationWorld {
  readonly story: string[] = []
  readonly finished: string[] = []
  readonly positions = new Map<string, WalPosition | Error>()
  readonly roles = new Map<string, { role: ShardRole; up: boolean; health?: ShardHealth }>()
  /** Steps of the driver that fail: `stop one`. */
  readonly failing = new Set<string>()
  end: Lsn | null = 100n
  standbys = ''
  isStreaming = true
  isManaged = true

  constructor() {
    this.roles.set('one', { role: 'primary', up: true })
    this.roles.set('two', { role: 'replica', up: true })
    this.roles.set('three', { role: 'replica', up: true })
    for (const name of ['two', 'three']) {
      this.positions.set(name, { isInRecovery: true, received: 150n, replayed: 150n })
    }
  }

  topology(): Topology {
    const shards = [...this.roles].map(([name, state], id): Shard => freezeShard({ id, name, ...state }))
    return { version: 1, shards }
  }

  driver(): ShardDriver {
    if (!this.isManaged) throw new Error('not ours')
    return this.#driver
  }

  readonly #driver: ShardDriver = {
    kind: 'local',
    manages: () => true,
    checkpoint: (shard) => this.#do(`checkpoint ${shard}`),
    stop: (shard) => this.#do(`stop ${shard}`),
    use: (shard, directory) => {
      this.story.push(`use ${shard} ${directory}`)
      return 'old'
    },
    start: (shard) => this.#do(`start ${shard}`),
    fence: (shard) => this.#do(`fence ${shard}`),
    position: async (shard) => {
      const position = this.positions.get(shard) ?? null
      if (position instanceof Error) throw position
      return position
    },
    cleanEnd: async () => this.end,
    synchronousStandbys: async () => this.standbys,
    prepare: (shard) => this.#do(`prepare ${shard}`),
    promote: (shard) => this.#do(`promote ${shard}`),
    follow: (shard, primary) => {
      this.roles.set(shard, { role: 'replica', up: true })
      return this.#do(`${shard} follows ${primary}`)
    },
    rejoin: async (shard, primary, wasTried) => {
      await this.#do(`${shard} rejoins ${primary}${wasTried ? ' at once' : ''}`)
      return 'followed'
    },
    streams: async () => this.isStreaming,
  }

  readonly abort = new AbortController()
  readonly signal = this.abort.signal
  readonly added = new Map<string, AddedShard>()

  readonly scale: ScaleWorld = {
    choose: (target) => ({ group: target, pool: null, shard: 'four' }),
    leastNeeded: () => [...this.added.keys()].at(-1) ?? null,
    get: (name) => this.added.get(name) ?? null,
    uselessness: () => null,
    begin: ({ group, pool, shard: name }) => {
      this.story.push(`begin ${name}`)
      const place = { host: '127.0.0.1', port: 5432, dataDirectory: null }
      const facts = { maxConnections: 10, slots: null, zone: null, operation: '1', begunAt: 1, servingAt: 0 }
      this.added.set(name, { name, group, pool, driver: 'local', state: 'creating', place, ...facts })
    },
    create: (name) => this.#do(`create ${name}`),
    caughtUp: (name) => this.#do(`${name} has caught up`),
    serve: async (name) => {
      this.roles.set(name, { role: 'replica', up: true })
      this.added.set(name, { ...(this.added.get(name) as AddedShard), state: 'serving' })
      await this.#do(`serve ${name}`)
    },
    leave: async (name) => {
      this.roles.delete(name)
      await this.#do(`leave ${name}`)
    },
    destroy: async (name) => {
      await this.#do(`destroy ${name}`)
      this.added.delete(name)
    },
    drainMs: 1000,
  }

  async #do(what: string): Promise<void> {
    this.story.push(what)
    if (this.failing.has(what)) throw new Error(`${what} failed`)
  }

  hold({ name }: Shard): Promise<void> {
    return this.#do(`hold ${name}`)
  }

  cut({ name }: Shard): Promise<void> {
    return this.#do(`cut ${name}`)
  }

  release({ name }: Shard): Promise<void> {
    return this.#do(`release ${name}`)
  }

  probe(): void {}

  knowPrimary({ name }: Shard): void {
    this.roles.set(name, { role: 'primary', up: true })
    this.story.push(`${name} is primary`)
  }

  goesOn(): void {
    this.story.push('goes on')
  }

  async until(what: string, isSo: (topology: Topology) => boolean): Promise<void> {
    if (!isSo(this.topology())) throw new Error(`waited for ${what} in vain`)
  }

  async untilUp(): Promise<void> {}

  setDrained({ name }: Pick<Shard, 'name'>, drained: boolean): void {
    this.story.push(`${name} is ${drained ? '' : 'not '}drained`)
  }

  finish(shard: string): void {
    this.finished.push(shard)
  }

  say(message: string): void {
    this.story.push(`says: ${message}`)
  }
}

/** Runs a script as the runner does; returns what went wrong. */
export async function walk(script: OperationScript): Promise<string | null> {
  try {
    for (const step of script.steps) await step.run()
    return null
  } catch (error) {
    await script.recover?.()
    return error instanceof Error ? error.message : String(error)
  }
}
