import type { TierRule } from '../shard/policy.ts'
import { tierCode } from '../shard/tier.ts'
import { NO_TIER } from './tier-decision.ts'

/** What a rule may ask of a connection. */
export interface RuleSubject {
  readonly user: string
  readonly database: string
  /** As the client gives it. */
  readonly application: string
}

interface CompiledRule {
  readonly tier: number
  readonly user: RegExp
  readonly database: RegExp
  readonly application: RegExp
}

/** The operator's rules: the first that matches decides. One without a tier decides other things only. */
export class TierRules {
  readonly #rules: readonly CompiledRule[]

  constructor(rules: readonly TierRule[]) {
    this.#rules = rules.map(({ tier, user, database, application }) => ({
      tier: tier === null ? NO_TIER : tierCode(tier),
      user: globPattern(user),
      database: globPattern(database),
      application: globPattern(application),
    }))
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  /** The place of the rule that matches, −1 if there is none. */
  find({ user, database, application }: RuleSubject): number {
    return this.#rules.findIndex(
      (rule) => rule.user.test(user) && rule.database.test(database) && rule.application.test(application),
    )
  }

  /** The tier code that the rule at this place gives; `NO_TIER`: it gives none. */
  tierAt(rule: number): number {
    return this.#rules[rule]?.tier ?? NO_TIER
  }
}

/** `*` stands for any characters. */
export function globPattern(glob: string): RegExp {
  return new RegExp(`^${glob.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`, 's')
}
