import { POOL_SIZE } from './arena.ts'
import { compare } from './difference.ts'
import type { Lane, Target } from './lane.ts'
import { leaksOf, probeSessions } from './leak-probe.ts'
import { PLAYGROUND, TIDY } from './playground.ts'
import { type Program, type Startup, showProgram } from './program.ts'
import { type ProgramRun, runProgram } from './program-run.ts'

const ROLES = ['plain', 'super'] as const

/** What a session is that nobody has had before, as PostgreSQL itself says. */
interface Fresh {
  readonly contents: readonly string[]
  readonly defaults: ReadonlyMap<string, string>
}

/** Runs programs of one lane both ways, one after the other, and says what differs. */
export class Trial {
  readonly #lane: Lane
  readonly #fresh: ReadonlyMap<Startup['role'], Fresh>

  private constructor(lane: Lane, fresh: ReadonlyMap<Startup['role'], Fresh>) {
    this.#lane = lane
    this.#fresh = fresh
  }

  static async prepare(lane: Lane): Promise<Trial> {
    const { rows } = await lane.direct.admin.query('SELECT name, setting FROM pg_settings')
    const defaults = new Map(rows.map(({ name, setting }) => [String(name), String(setting)]))
    const fresh = new Map<Startup['role'], Fresh>()
    for (const role of ROLES) {
      const login = lane.login({ role, parameters: {} }, lane.direct)
      const [contents] = await probeSessions(lane.direct.address, login, 1)
      fresh.set(role, { contents: contents ?? [], defaults })
    }
    return new Trial(lane, fresh)
  }

  /** What differs, for people; null when nothing does. */
  async judge(program: Program): Promise<string | null> {
    const direct = await runProgram(this.#lane, this.#lane.direct, program, null)
    const [, router] = await Promise.all([
      tidy(this.#lane.direct, direct),
      runProgram(this.#lane, this.#lane.router, program, direct.plan),
    ])
    const difference = compare(direct.exchanges, router.exchanges)?.text ?? (await this.#leaks(program))
    if (difference !== null || direct.traits.has('schema')) await this.#lane.renew()
    await tidy(this.#lane.router, direct)
    return difference === null ? null : `${showProgram(program)}\n\n${difference}`
  }

  async #leaks(program: Program): Promise<string | null> {
    const { address } = this.#lane.router
    for (const [role, { contents, defaults }] of this.#fresh) {
      if (program.startups.every((startup) => startup.role !== role)) continue
      const login = this.#lane.login({ role, parameters: {} }, this.#lane.router)
      const leaks = leaksOf(contents, await probeSessions(address, login, POOL_SIZE), defaults)
      if (leaks.length > 0) return `the next client of ${role} does not find a fresh session:\n${leaks.join('\n')}`
    }
    return null
  }
}

/** Undoes what the program did. Waits for its last clients to let go of their locks. */
async function tidy(target: Target, { traits }: ProgramRun): Promise<void> {
  await target.settled([], 0)
  await target.admin.query(traits.has('schema') ? PLAYGROUND : TIDY)
}
