import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TestWaiter } from './server-host.fixture.ts'
import { openPool, type PoolBench } from './server-pool.fixture.ts'

const SIZE = 3

/** What clients, operators and the shard do to a pool; numbers pick among those it can be done to. */
type Deed =
  | { readonly kind: 'request' | 'pause' | 'resume' | 'retire' | 'kill' | 'away' | 'back' | 'second' }
  | { readonly kind: 'give back' | 'leave' | 'die'; readonly pick: number }

const simple = fc.constantFrom<Deed>(
  ...(['pause', 'resume', 'resume', 'retire', 'kill', 'away', 'back', 'back', 'second'] as const).map((kind) => ({
    kind,
  })),
)
const request = fc.constant<Deed>({ kind: 'request' })
const picked = fc
  .tuple(fc.constantFrom('give back' as const, 'give back' as const, 'leave' as const, 'die' as const), fc.nat(20))
  .map(([kind, pick]): Deed => ({ kind, pick }))
const deeds = fc.array(fc.oneof(request, simple, picked, request), { minLength: 5, maxLength: 30 })

/** The clients of one run, in the order in which they came. */
class Clients {
  readonly #bench: PoolBench
  readonly #all: TestWaiter[] = []
  readonly #left = new Set<TestWaiter>()

  constructor(bench: PoolBench) {
    this.#bench = bench
  }

  get served(): readonly TestWaiter[] {
    return this.#all.filter(({ server }) => server !== null)
  }

  /** Those that still want to be served; the order is that of the queue. */
  get waiting(): readonly TestWaiter[] {
    const { story } = this.#bench
    return this.#all.filter((one) => !this.#left.has(one) && !story.includes(one.name))
  }

  do(deed: Deed): void {
    const { host, pool, shard } = this.#bench
    const { waiting, served } = this
    if (deed.kind === 'request') this.#all.push(this.#bench.request(`${this.#all.length}`))
    else if (deed.kind === 'give back') served[deed.pick % served.length]?.giveBack()
    else if (deed.kind === 'die') shard.open[deed.pick % shard.open.length]?.close()
    else if (deed.kind === 'pause') pool.pause()
    else if (deed.kind === 'resume') pool.resume()
    else if (deed.kind === 'retire') pool.retire('RECONNECT')
    else if (deed.kind === 'kill') pool.kill('KILL')
    else if (deed.kind === 'away') shard.stopListening()
    else if (deed.kind === 'back') shard.listenAgain()
    else if (deed.kind === 'second') host.pass(1100)
    else if (deed.kind === 'leave') this.#leave(waiting[deed.pick % waiting.length])
    host.settle()
    this.#assertSound()
  }

  #leave(one: TestWaiter | undefined): void {
    if (one === undefined) return
    this.#bench.pool.leave(one)
    this.#left.add(one)
  }

  #assertSound(): void {
    const { pool, host, story } = this.#bench
    const { waiting, served } = this
    assert.ok(pool.size <= SIZE && pool.size === pool.idle + pool.busy)
    assert.equal(pool.waiting, waiting.length)
    assert.equal(host.freeSlots.length, 16 - pool.size)
    const servers = served.map(({ server }) => server)
    assert.equal(new Set(servers).size, servers.length, 'a server connection has one client')
    for (const server of servers) assert.ok(server !== null && pool.servers.has(server) && server.state === 'active')
    // First come, first served: nobody still waits who came before the last one that was served.
    const last = Number(story.at(-1) ?? -1)
    assert.ok(waiting.every(({ name }) => Number(name) > last))
    if (!pool.paused && waiting.length > 0) assert.equal(pool.idle, 0)
  }

  /** In the end everybody is served: nobody was forgotten. */
  finish(): void {
    this.do({ kind: 'resume' })
    this.do({ kind: 'back' })
    for (let round = 0; this.waiting.length > 0; round++) {
      assert.ok(round < 100, 'somebody waits for ever')
      this.do({ kind: 'second' })
      for (const one of this.served) one.giveBack()
    }
  }
}

test('whatever happens, bounds and order hold, and everybody who waits is served in the end', (t) => {
  fc.assert(
    fc.property(deeds, (list) => {
      const bench = openPool(t, { size: SIZE })
      const clients = new Clients(bench)
      for (const deed of list) clients.do(deed)
      clients.finish()
      for (const one of clients.served) one.giveBack()
      bench.pool.kill('this run is over')
      bench.shard.close()
    }),
    { numRuns: 25 },
  )
})
