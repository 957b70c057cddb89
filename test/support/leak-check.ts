import type pg from 'pg'
import { openDescriptors, residentBytes } from './process-usage.ts'
import type { RouterPids, RouterProcess } from './router-process.ts'
import { waitUntil } from './wait-until.ts'

/** What may not grow from test to test. */
interface Held {
  /** Descriptors that belong to no connection. */
  readonly planeDescriptors: number
  readonly keeperDescriptors: number
  /** Ordinary clients, any state. */
  readonly clients: number
  readonly waiting: number
  /** Server connections that are not idle. */
  readonly busyServers: number
}

/** Memory a plane may gain over a whole file: V8's heap breathes; a leak of connections or buffers is far above. */
const MEMORY_ALLOWANCE_BYTES = 160 << 20

/**
 * Holds a router to its word after each test: once its clients have left, no descriptor, client slot, server connection
 * or wait is left over, and memory has not grown without bound. Looks through `/proc` and the admin console.
 */
export class LeakCheck {
  readonly #router: RouterProcess
  readonly #console: pg.Client
  #pids: RouterPids
  #baseline: Held | null = null
  #baselineBytes = 0

  constructor(router: RouterProcess, console: pg.Client) {
    this.#router = router
    this.#console = console
    this.#pids = router.pids
  }

  /** Takes the present state for the clean one; nobody but the console may be connected. */
  async start(): Promise<void> {
    // It would look like a leak of the keeper's.
    await waitUntil('the standby', () => this.#router.pids.standbys.length > 0)
    this.#pids = this.#router.pids
    this.#baseline = await waitUntil('the router to be at rest', async () => {
      const held = await this.#held()
      if (held.clients + held.waiting + held.busyServers === 0) return held
      throw new Error(JSON.stringify(held))
    })
    this.#baselineBytes = this.#residentBytes()
  }

  /** Waits until everything is back as it was; else throws with the difference. */
  async check(timeoutMs = 8_000): Promise<void> {
    const expected = this.#baseline
    if (expected === null) throw new Error('the leak check was not started')
    let held: Held | null = null
    const isBack = async (): Promise<boolean> => {
      held = await this.#held()
      return excess(held, expected) === ''
    }
    try {
      await waitUntil('the router to let go of everything', isBack, { timeoutMs, everyMs: 20 })
    } catch (error) {
      throw new Error(
        `leaked: ${held === null ? 'the console does not answer' : excess(held, expected)}\n${await this.#inventory()}`,
        { cause: error },
      )
    }
    const grownBytes = this.#residentBytes() - this.#baselineBytes
    if (grownBytes > MEMORY_ALLOWANCE_BYTES) throw new Error(`the planes have grown by ${grownBytes >> 20} MB`)
  }

  #residentBytes(): number {
    return this.#pids.planes.reduce((sum, pid) => sum + residentBytes(pid), 0)
  }

  async #held(): Promise<Held> {
    const clients = await this.#ordinary('SHOW CLIENTS')
    const servers = await this.#ordinary('SHOW SERVERS')
    const pools = (await this.#console.query('SHOW POOLS')).rows
    const connections = clients.length + servers.length
    const planes = this.#pids.planes.reduce((sum, pid) => sum + openDescriptors(pid), 0)
    return {
      planeDescriptors: planes - connections,
      keeperDescriptors: openDescriptors(this.#pids.keeper) - connections,
      clients: clients.length,
      waiting: pools.reduce((sum, pool) => sum + Number(pool.cl_waiting), 0),
      busyServers: servers.filter((server) => server.state !== 'idle').length,
    }
  }

  /** Rows that are not of the console: its clients, and its link to the control process. */
  async #ordinary(command: string): Promise<Record<string, unknown>[]> {
    const { rows } = await this.#console.query(command)
    return rows.filter((row) => row.database !== 'switchyard' && row.database !== 'pgbouncer')
  }

  async #inventory(): Promise<string> {
    const rows = [...(await this.#ordinary('SHOW CLIENTS')), ...(await this.#ordinary('SHOW SERVERS'))]
    return rows.map((row) => JSON.stringify(row)).join('\n')
  }
}

/** What is more than it was, in words; empty when nothing is. */
function excess(held: Held, baseline: Held): string {
  return (Object.keys(baseline) as (keyof Held)[])
    .filter((name) => held[name] > baseline[name])
    .map((name) => `${name} ${held[name]} instead of ${baseline[name]}`)
    .join(', ')
}
