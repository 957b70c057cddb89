import { CLIENT, CLIENT_TEXT } from '../memory/client-slots.ts'
import { IDENTITY } from '../memory/identity-records.ts'
import { PROFILE, PROFILE_F64, PROFILE_FLAG } from '../memory/profile-records.ts'
import type { AnalyzerValues } from '../shard/plane-values.ts'
import type { TierRule } from '../shard/policy.ts'
import { DEFAULT_TIER, tierCode } from '../shard/tier.ts'
import type { FeatureRegions } from './feature-vector.ts'
import { RunawayWatch } from './runaway-watch.ts'
import { decideTier, NO_TIER, SOURCE, sourceIn, type TierVotes, tierIn } from './tier-decision.ts'
import { TierRules } from './tier-rules.ts'

const FLAP_MS = 30_000
/** What the model says of a connection with fewer queries is not held against the next one of its identity. */
const SETTLED_QUERIES = 16

/** What is counted of decisions. */
export type DecisionCounter = 'tierChanges' | 'tierFlaps' | 'runaways'

/** Collects what speaks for each client's tier, decides, and puts the tier that counts into its slot. */
export class TierKeeper {
  readonly runaways: RunawayWatch
  readonly #regions: FeatureRegions
  readonly #count: (counter: DecisionCounter) => void
  readonly #words: number
  readonly #votes: TierVotes = {
    rule: NO_TIER,
    hint: NO_TIER,
    mayRaise: false,
    model: NO_TIER,
    identity: NO_TIER,
    fallback: tierCode(DEFAULT_TIER),
    runaway: NO_TIER,
  }
  #rules = new TierRules([])
  #enforces = false

  constructor(regions: FeatureRegions, count: (counter: DecisionCounter) => void) {
    this.#regions = regions
    this.#count = count
    this.#words = regions.profiles.recordBytes >> 2
    this.runaways = new RunawayWatch(regions, () => count('runaways'))
  }

  setValues(values: AnalyzerValues, rules: readonly TierRule[]): void {
    this.#rules = new TierRules(rules)
    this.#enforces = values.mode === 'enforce'
    this.runaways.limits = values.runaway
    this.#votes.fallback = tierCode(values.defaultTier)
  }

  /** Looks for the rule that holds for the client, as it calls itself now. */
  matchRules(slot: number): void {
    const { clients } = this.#regions
    const rule = this.#rules.find({
      user: clients.readText(slot, CLIENT_TEXT.user.offset),
      database: clients.readText(slot, CLIENT_TEXT.database.offset),
      application: clients.readText(slot, CLIENT_TEXT.applicationName.offset),
    })
    this.#set(slot, PROFILE.rule, rule + 1)
    this.#set(slot, PROFILE.ruleTier, rule < 0 ? 0 : this.#rules.tierAt(rule) + 1)
  }

  /** The same for a client that was somebody else's when rules have changed last. */
  rematch(slot: number, now: number): void {
    const before = this.#get(slot, PROFILE.rule)
    const tierBefore = this.#get(slot, PROFILE.ruleTier)
    if (before === 0 && this.#rules.isEmpty) return
    this.matchRules(slot)
    if (this.#get(slot, PROFILE.ruleTier) === tierBefore) return
    this.decide(slot, now)
    this.apply(slot)
  }

  /** `field`: which hint; `hint`: a tier code + 1, 0: none. */
  changeHint(slot: number, field: number, hint: number, now: number): void {
    if (this.#get(slot, field) === hint) return
    this.#set(slot, field, hint)
    this.decide(slot, now)
    this.apply(slot)
  }

  /** What the tier should be, from everything that is known now. It counts with `apply`. */
  decide(slot: number, now: number): void {
    const votes = this.#votes
    const identity = this.#get(slot, PROFILE.identity) - 1
    votes.rule = this.#get(slot, PROFILE.ruleTier) - 1
    votes.hint = (this.#get(slot, PROFILE.commentHint) || this.#get(slot, PROFILE.hintTier)) - 1
    votes.mayRaise = (this.#get(slot, PROFILE.flags) & PROFILE_FLAG.mayRaise) !== 0
    votes.model = this.#get(slot, PROFILE.modelTier) - 1
    votes.identity = this.#tierOfIdentity(slot, identity)
    votes.runaway = this.runaways.tierOf(slot, now)
    const proposed = decideTier(votes)
    this.#set(slot, PROFILE.proposed, tierIn(proposed) + 1)
    const isSettled = this.#get(slot, PROFILE.queries) >= SETTLED_QUERIES
    if (identity >= 0 && isSettled && sourceIn(proposed) === SOURCE.model) {
      const { i32, recordBytes } = this.#regions.identities
      i32[identity * (recordBytes >> 2) + IDENTITY.lastTier] = tierIn(proposed) + 1
    }
    if (this.#enforces) {
      this.#enter(slot, proposed, now)
      return
    }
    votes.model = NO_TIER
    votes.identity = NO_TIER
    this.#enter(slot, decideTier(votes), now)
  }

  /** The client is another identity now: what the one before was given for its identity is no more. */
  forgetIdentity(slot: number): void {
    if (this.#get(slot, PROFILE.source) === SOURCE.identity) this.#set(slot, PROFILE.source, SOURCE.default)
  }

  /** What its identity was last. Who has been given that keeps it, whatever others of a shared identity are meanwhile. */
  #tierOfIdentity(slot: number, identity: number): number {
    if (identity < 0) return NO_TIER
    if (this.#get(slot, PROFILE.source) === SOURCE.identity) return this.#get(slot, PROFILE.decided) - 1
    const { i32, recordBytes } = this.#regions.identities
    return (i32[identity * (recordBytes >> 2) + IDENTITY.lastTier] as number) - 1
  }

  /** To be called between transactions only: none changes its tier in the middle. */
  apply(slot: number): void {
    const { i32, recordBytes } = this.#regions.clients
    i32[slot * (recordBytes >> 2) + CLIENT.tier] = this.#get(slot, PROFILE.decided) - 1
  }

  /** The one setter of a decision. */
  #enter(slot: number, decision: number, now: number): void {
    const before = this.#get(slot, PROFILE.decided)
    const after = tierIn(decision) + 1
    this.#set(slot, PROFILE.source, sourceIn(decision))
    if (before === after) return
    const { f64 } = this.#regions.profiles
    const decidedAt = slot * (this.#words >> 1) + PROFILE_F64.decidedAt
    if (before !== 0) {
      this.#count('tierChanges')
      const isBack = this.#get(slot, PROFILE.changedFrom) === after
      if (isBack && now - (f64[decidedAt] as number) < FLAP_MS) this.#count('tierFlaps')
      this.#set(slot, PROFILE.changedFrom, before)
    }
    f64[decidedAt] = now
    this.#set(slot, PROFILE.decided, after)
  }

  #get(slot: number, field: number): number {
    return this.#regions.profiles.i32[slot * this.#words + field] as number
  }

  #set(slot: number, field: number, value: number): void {
    this.#regions.profiles.i32[slot * this.#words + field] = value
  }
}
