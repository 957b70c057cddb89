import type { Arena, Target } from './arena.ts'
import { POOL_SIZE } from './arena.ts'
import { compare } from './difference.ts'
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

/** Runs programs both ways, one after the other, and says what differs. */
export class Trial {
  readonly #arena: Arena
  readonly #fresh: ReadonlyMap<Startup['role'], Fresh>

  private constructor(arena: Arena, fresh: ReadonlyMap<Startup['role'], Fresh>) {
    this.#arena = arena
    this.#fresh = fresh
  }

  static async prepare(arena: Arena): Promise<Trial> {
    const { rows } = await arena.direct.admin.query('SELECT name, setting FROM pg_settings')
    const defaults = new Map(rows.map(({ name, setting }) => [String(name), String(setting)]))
    const fresh = new Map<Startup['role'], Fresh>()
    for (const role of ROLES) {
      const login = arena.login({ role, parameters: {} }, arena.direct)
      const [contents] = await probeSessions(arena.direct.address, login, 1)
      fresh.set(role, { contents: contents ?? [], defaults })
    }
    return new Trial(arena, fresh)
  }

  /** What differs, for people; null when nothing does. */
  async judge(program: Program): Promise<string | null> {
    const direct = await runProgram(this.#arena, this.#arena.direct, program, null)
    const [, router] = await Promise.all([
      tidy(this.#arena.direct, direct),
      runProgram(this.#arena, this.#arena.router, program, direct.plan),
    ])
    const difference = compare(direct.exchanges, router.exchanges)?.text ?? (await this.#leaks(program))
    if (difference !== null || direct.traits.has('schema')) await this.#arena.renew()
    await tidy(this.#arena.router, direct)
    return difference === null ? null : `${showProgram(program)}\n\n${difference}`
  }

  async #leaks(program: Program): Promise<string | null> {
    const { address } = this.#arena.router
    for (const [role, { contents, defaults }] of this.#fresh) {
      if (program.startups.every((startup) => startup.role !== role)) continue
      const login = this.#arena.login({ role, parameters: {} }, this.#arena.router)
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
