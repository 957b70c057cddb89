import { compare } from './difference.ts'
import type { Lane, Target } from './lane.ts'
import { type Fresh, freshSession, leaksOf, probeSessions } from './leak-probe.ts'
import { TIDY, tidySchema } from './playground.ts'
import { CLIENTS, type Program, type RoleName, showProgram } from './program.ts'
import { type ProgramRun, runProgram } from './program-run.ts'

const ROLES = ['plain', 'super', 'tenant'] as const

/** Runs programs of one lane both ways, one after the other, and says what differs. */
export class Trial {
  readonly #lane: Lane
  readonly #fresh: ReadonlyMap<RoleName, Fresh>

  private constructor(lane: Lane, fresh: ReadonlyMap<RoleName, Fresh>) {
    this.#lane = lane
    this.#fresh = fresh
  }

  static async prepare(lane: Lane): Promise<Trial> {
    const fresh = new Map<RoleName, Fresh>()
    for (const role of ROLES) {
      fresh.set(role, await freshSession(lane.direct.address, lane.login({ role, parameters: {} }, lane.direct)))
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

  /** Of the sessions of those who have taken part. */
  async #leaks({ startups, actions }: Program): Promise<string | null> {
    const { address } = this.#lane.router
    const sessions = await this.#lane.sessions()
    const roles = new Set(actions.map(({ client }) => startups[client]?.role))
    for (const [role, fresh] of this.#fresh) {
      if (!roles.has(role)) continue
      const login = this.#lane.login({ role, parameters: {} }, this.#lane.router)
      const leaks = leaksOf(fresh, await probeSessions(address, login, sessions.get(login.user) ?? 0))
      if (leaks.length > 0) return `the next client of ${role} does not find a fresh session:\n${leaks.join('\n')}`
    }
    return null
  }
}

/** Undoes what the program did. Waits for its last clients to let go of their locks. */
async function tidy(target: Target, { traits }: ProgramRun): Promise<void> {
  await target.settled([], 0)
  await target.admin.query(traits.has('schema') ? tidySchema(CLIENTS) : TIDY)
}
