import { CLIENT, CLIENT_F64 } from '../memory/client-slots.ts'
import { HistoryRing } from '../memory/history-ring.ts'
import { IDENTITY_RECORDS } from '../memory/layout.ts'
import type { PLANE_F64 } from '../memory/plane-records.ts'
import { PROFILE, PROFILE_F64 } from '../memory/profile-records.ts'
import type { AnalyzerValues } from '../shard/plane-values.ts'
import type { TierRule } from '../shard/policy.ts'
import { DEFAULT_TIER } from '../shard/tier.ts'
import { factsOf, identityIn, type NewConnection, settingFacts } from './connection-facts.ts'
import { ConnectionProfiles } from './connection-profiles.ts'
import { isEvaluationPoint, isSnapshotPoint } from './evaluation-points.ts'
import { IdentityIds } from './identity-ids.ts'
import { IdentityProfiles } from './identity-profiles.ts'
import { writeSnapshot } from './snapshot-writer.ts'
import { type EvaluatorRegions, TierEvaluator } from './tier-evaluator.ts'
import { hintedTier } from './tier-hint.ts'
import { TierKeeper } from './tier-keeper.ts'
import { type ModelFile, TierModel } from './tier-model.ts'

const IDLE = 0x49
/** A request that runs for longer than this is looked at once a second. */
const LONG_MS = 1_000
/** Every so many seconds, what a connection did becomes part of its identity's profile. */
const CONTRIBUTION_TICKS = 120

export interface AnalyzerRegions extends EvaluatorRegions {
  readonly history: HistoryRing['region']
}

export type AnalyzerCounter = Extract<keyof typeof PLANE_F64, `tier${string}` | 'runaways' | 'historyDropped'>

/** The analyzer's part of the configuration before there is any. */
export const NO_ANALYZER: AnalyzerValues = {
  mode: 'off',
  defaultTier: DEFAULT_TIER,
  hints: false,
  raisingUsers: [],
  evidenceQueries: 16,
  runaway: { elapsedMs: 0, rows: 0, bytes: 0, action: 'dryrun', tier: 'low', cooldownMs: 60_000 },
  historySample: 0,
}

/**
 * Gives every connection of a plane its tier, and keeps its profile: the plane tells what happens to each client slot, and
 * finds the tier in the slot. Nothing here waits, and a query costs no allocation.
 */
export class Analyzer {
  readonly profiles: ConnectionProfiles
  readonly identities: IdentityProfiles
  readonly regions: AnalyzerRegions
  readonly #ring: HistoryRing
  readonly #count: (counter: AnalyzerCounter) => void
  readonly #planeIndex: number
  readonly #tiers: TierKeeper
  readonly #evaluator: TierEvaluator
  readonly #words: number
  #values: AnalyzerValues = NO_ANALYZER
  /** Behind the last slot that was ever used: memory that nobody touched costs nothing. */
  #top = 0
  #ticks = 0

  constructor(regions: AnalyzerRegions, planeIndex: number, count: (counter: AnalyzerCounter) => void) {
    this.regions = regions
    this.#planeIndex = planeIndex
    this.#count = count
    this.#words = regions.profiles.recordBytes >> 2
    this.profiles = new ConnectionProfiles(regions.profiles)
    const first = planeIndex * IDENTITY_RECORDS
    this.identities = new IdentityProfiles(regions.identities, regions.profiles, first, IDENTITY_RECORDS)
    this.#ring = new HistoryRing(regions.history, planeIndex)
    this.#tiers = new TierKeeper(regions, count)
    const ids = new IdentityIds(regions.identities, first, IDENTITY_RECORDS)
    this.identities.onReplaced = (record) => ids.forget(record)
    this.#evaluator = new TierEvaluator(regions, ids, this.#tiers, count)
  }

  get model(): TierModel | null {
    return this.#evaluator.model
  }

  get values(): AnalyzerValues {
    return this.#values
  }

  /** New rules and limits; they count for connections that are open as well. */
  setValues(values: AnalyzerValues, rules: readonly TierRule[], now: number): void {
    this.#values = values
    this.#evaluator.values = values
    this.#tiers.setValues(values, rules)
    for (const slot of this.#slots()) {
      this.#tiers.matchRules(slot)
      this.#tiers.decide(slot, now)
      this.#tiers.apply(slot)
    }
  }

  /** The place of the operator's rule that holds for the client; −1: none does. */
  ruleOf(slot: number): number {
    return this.#get(slot, PROFILE.rule) - 1
  }

  /** SHA-256 of the model that is asked; null: none. */
  get modelHash(): string | null {
    return this.#evaluator.modelHash
  }

  /** Takes this model's word from now on; null: no model's. @throws BadModel and keeps the one it has. */
  setModel(file: ModelFile | null, now: number): void {
    this.#evaluator.use(file === null ? null : TierModel.open(file))
    if (file !== null) return
    for (const slot of this.#slots()) {
      this.#set(slot, PROFILE.modelTier, 0)
      this.#tiers.decide(slot, now)
    }
  }

  /** A client has logged in. */
  connected(slot: number, connection: NewConnection, now: number): void {
    this.#top = Math.max(this.#top, slot + 1)
    const { clients } = this.regions
    const identity = this.identities.recordOf(identityIn(clients, slot), now)
    const facts = factsOf(clients, slot, identity, connection.settings, this.#values.raisingUsers)
    this.profiles.begin(slot, facts, now)
    if (identity >= 0) this.identities.connected(identity, now, false)
    const hint = this.#values.hints ? hintedTier(connection.hint ?? '') + 1 : 0
    this.#set(slot, PROFILE.startupHint, hint)
    this.#set(slot, PROFILE.hintTier, hint)
    this.#tiers.matchRules(slot)
    this.#evaluator.evaluate(slot, now)
    this.#tiers.apply(slot)
    this.#remember(slot, 0, now)
  }

  /** A client of a plane that is gone is this one's now; its profile is where it was. */
  resumed(slot: number, now: number): void {
    const identity = this.#get(slot, PROFILE.identity) - 1
    if (!this.#isProfiled(slot)) return
    this.#top = Math.max(this.#top, slot + 1)
    // They may have changed while it rested.
    this.#tiers.rematch(slot, now)
    if (identity >= 0) this.identities.connected(identity, now, true)
  }

  /** The client calls itself something else now. */
  renamed(slot: number, now: number): void {
    if (!this.#isProfiled(slot)) return
    const before = this.#get(slot, PROFILE.identity) - 1
    const after = this.identities.recordOf(identityIn(this.regions.clients, slot), now)
    this.#tiers.matchRules(slot)
    if (after !== before) {
      if (before >= 0) this.identities.disconnected(before, slot, now)
      if (after >= 0) this.identities.connected(after, now, false)
      this.#set(slot, PROFILE.identity, after + 1)
      this.#tiers.forgetIdentity(slot)
    }
    this.#evaluator.evaluate(slot, now)
  }

  /** The client's setting `switchyard.tier` is this now; undefined: what it was at its login. */
  hinted(slot: number, value: string | undefined, now: number): void {
    if (!this.#values.hints || !this.#isProfiled(slot)) return
    const hint = value === undefined ? this.#get(slot, PROFILE.startupHint) : hintedTier(value) + 1
    this.#tiers.changeHint(slot, PROFILE.hintTier, hint, now)
  }

  /** The client's session has these settings from now on; names in lower case. */
  settingsChanged(slot: number, settings: ReadonlyMap<string, string>): void {
    if (this.#isProfiled(slot)) this.profiles.settingsChanged(slot, settingFacts(settings))
  }

  /** A transaction begins with a text in which this tier is asked for: a code, or `NO_TIER`. It counts until its end. */
  commented(slot: number, tier: number, now: number): void {
    if (this.#get(slot, PROFILE.commentHint) === tier + 1 || !this.#isProfiled(slot)) return
    this.#tiers.changeHint(slot, PROFILE.commentHint, tier + 1, now)
  }

  /**
   * A ReadyForQuery with this transaction status has gone to the client. `took`: milliseconds since its request began to
   * run, −1: nobody knows. The slot still says when the transaction began.
   */
  answered(slot: number, status: number, took: number, now: number): void {
    if (!this.#isProfiled(slot)) return
    const { f64, recordBytes } = this.regions.clients
    const f = slot * (recordBytes >> 3)
    const began = took < 0 ? 0 : now - took
    const isRunaway = this.#tiers.runaways.look(slot, began, now)
    const queries = this.profiles.answered(
      slot,
      status,
      began,
      now,
      f64[f + CLIENT_F64.bytesRead] as number,
      f64[f + CLIENT_F64.bytesWritten] as number,
    )
    const before = this.#get(slot, PROFILE.evaluatedAtQuery)
    const passed = now - this.#time(slot, PROFILE_F64.evaluatedAt)
    if (isEvaluationPoint(queries, before, passed)) this.#evaluator.evaluate(slot, now)
    else if (isRunaway) this.#tiers.decide(slot, now)
    if (isSnapshotPoint(queries)) {
      this.#evaluator.fill(slot, now)
      this.#remember(slot, 0, now)
    }
    if (status !== IDLE) return
    const transactionAt = f64[f + CLIENT_F64.transactionAt] as number
    if (transactionAt !== 0) this.profiles.transactionEnded(slot, now - transactionAt)
    if (this.#get(slot, PROFILE.commentHint) !== 0) this.#tiers.changeHint(slot, PROFILE.commentHint, 0, now)
    this.#tiers.apply(slot)
  }

  /** The client is gone. */
  disconnected(slot: number, now: number): void {
    if (!this.#isProfiled(slot)) return
    this.profiles.settle(slot, now)
    this.#evaluator.fill(slot, now)
    this.#remember(slot, 1, now)
    const identity = this.#get(slot, PROFILE.identity) - 1
    if (identity >= 0) this.identities.disconnected(identity, slot, now)
    this.#set(slot, PROFILE.generation, 0)
  }

  /** Once a second: long requests, and what identities learn of connections that stay. */
  tick(now: number): void {
    this.#ticks++
    const { f64, recordBytes } = this.regions.clients
    for (const slot of this.#slots()) {
      const queryAt = f64[slot * (recordBytes >> 3) + CLIENT_F64.queryAt] as number
      if (queryAt !== 0 && now - queryAt > LONG_MS) {
        this.#tiers.runaways.look(slot, queryAt, now)
        this.#evaluator.evaluate(slot, now)
      }
      if (slot % CONTRIBUTION_TICKS !== this.#ticks % CONTRIBUTION_TICKS) continue
      const identity = this.#get(slot, PROFILE.identity) - 1
      if (identity < 0) continue
      this.profiles.settle(slot, now)
      this.identities.contribute(identity, slot, now)
    }
  }

  *#slots(): Generator<number> {
    const { i32, recordBytes } = this.regions.clients
    for (let slot = 0; slot < this.#top; slot++) {
      if (this.#isProfiled(slot) && i32[slot * (recordBytes >> 2) + CLIENT.plane] === this.#planeIndex) yield slot
    }
  }

  #isProfiled(slot: number): boolean {
    const { i32, recordBytes } = this.regions.clients
    const generation = this.#get(slot, PROFILE.generation)
    return generation !== 0 && generation === i32[slot * (recordBytes >> 2) + CLIENT.generation]
  }

  /** Of a part of the connections, chosen by slot and generation, whatever they do. */
  #remember(slot: number, kind: number, now: number): void {
    const sample = this.#values.historySample
    if (sample <= 0) return
    const dice = (Math.imul(this.#get(slot, PROFILE.generation) * 8191 + slot + 1, 0x9e3779b1) >>> 0) / 2 ** 32
    if (dice >= sample) return
    if (!writeSnapshot(this.#ring, this.regions, slot, this.#evaluator.vector, kind, now)) this.#count('historyDropped')
  }

  #get(slot: number, field: number): number {
    return this.regions.profiles.i32[slot * this.#words + field] as number
  }

  #set(slot: number, field: number, value: number): void {
    this.regions.profiles.i32[slot * this.#words + field] = value
  }

  #time(slot: number, field: number): number {
    return this.regions.profiles.f64[slot * (this.#words >> 1) + field] as number
  }
}
