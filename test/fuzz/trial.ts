import { compare } from './difference.ts'
import type { Lane, Target } from './lane.ts'
import { type Depth, type Fresh, freshSession, leaksOf, probeSessions } from './leak-probe.ts'
import { dropMade, TIDY, TIDY_SCHEMA } from './playground.ts'
import { CLIENTS, type Program, type RoleName, showProgram } from './program.ts'
import { type ProgramRun, runProgram } from './program-run.ts'

const ROLES = ['plain', 'super', 'tenant'] as const
/** Sessions are looked at thoroughly after each so many programs of a lane. */
const THOROUGH_EVERY = 20

/** Runs programs of one lane both ways, one after the other, and says what differs. */
export class Trial {
  readonly #lane: Lane
  readonly #fresh: ReadonlyMap<RoleName, Fresh>
  #judged = 0

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
    if (difference !== null || direct.traits.has('alters')) await this.#lane.renew()
    await tidy(this.#lane.router, direct)
    return difference === null ? null : `${showProgram(program)}\n\n${difference}`
  }

  /** Of the sessions of those who have taken part. */
  async #leaks({ startups, actions }: Program): Promise<string | null> {
    const left = await this.#lane.leftovers().catch((error: Error) => error)
    if (left instanceof Error) return left.message
    const { sessions, objects } = left
    if (objects.length > 0) return `it leaves behind: ${objects.join(', ')}`
    this.#judged += 1
    const depth = this.#judged % THOROUGH_EVERY === 0 ? 'thorough' : 'quick'
    const roles = new Set(actions.map(({ client }) => startups[client]?.role))
    for (const [role, fresh] of this.#fresh) {
      if (!roles.has(role)) continue
      const leaks = await this.#leaksOf(role, fresh, sessions, depth)
      if (leaks.length > 0) return `the next client of ${role} does not find a fresh session:\n${leaks.join('\n')}`
    }
    return null
  }

  async #leaksOf(role: RoleName, fresh: Fresh, sessions: ReadonlyMap<string, number>, depth: Depth): Promise<string[]> {
    const { user } = this.#lane.login({ role, parameters: {} }, this.#lane.router)
    try {
      const probes = await this.#lane.probes(role, sessions.get(user) ?? 0, depth === 'thorough')
      return leaksOf(fresh, await probeSessions(probes, depth), depth)
    } catch (error) {
      return [`no session at all: ${error instanceof Error ? error.message : String(error)}`]
    }
  }
}

/** Undoes what the program did; its last clients have let go of their locks. */
async function tidy({ admin }: Target, { traits }: ProgramRun): Promise<void> {
  if (traits.has('makes')) await admin.query(dropMade(CLIENTS))
  await admin.query(traits.has('alters') ? TIDY_SCHEMA : TIDY)
}
