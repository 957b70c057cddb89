import { CLIENT } from '../memory/client-slots.ts'
import { PROFILE, PROFILE_F32, PROFILE_F64, PROFILE_FLAG } from '../memory/profile-records.ts'
import type { Region } from '../memory/region.ts'
import type { AnalyzerValues } from '../shard/plane-values.ts'
import type { AnalyzerCounter } from './analyzer.ts'
import { learnBackendUsage } from './backend-usage.ts'
import { FEATURE, FEATURE_COUNT } from './feature-schema.ts'
import { type FeatureRegions, fillFeatures } from './feature-vector.ts'
import type { IdentityIds } from './identity-ids.ts'
import { TierHysteresis } from './tier-hysteresis.ts'
import type { TierKeeper } from './tier-keeper.ts'
import type { TierModel } from './tier-model.ts'

/** What features are made of, and what server processes use. */
export interface EvaluatorRegions extends FeatureRegions {
  readonly servers: Region
}

/** Makes a client's features a number each, asks the model what they mean, if it may speak, and has the tier decided. */
export class TierEvaluator {
  readonly #regions: EvaluatorRegions
  readonly #ids: IdentityIds
  readonly #tiers: TierKeeper
  readonly #hysteresis: TierHysteresis
  readonly #count: (counter: AnalyzerCounter) => void
  readonly #probabilities = new Float64Array(4)
  readonly #words: number
  #model: TierModel | null = null
  values: Pick<AnalyzerValues, 'mode' | 'evidenceQueries'> = { mode: 'off', evidenceQueries: 0 }
  /** The features of the client that was looked at last. */
  readonly vector = new Float32Array(FEATURE_COUNT)

  constructor(
    regions: EvaluatorRegions,
    ids: IdentityIds,
    tiers: TierKeeper,
    count: (counter: AnalyzerCounter) => void,
  ) {
    this.#regions = regions
    this.#ids = ids
    this.#tiers = tiers
    this.#count = count
    this.#hysteresis = new TierHysteresis(regions.profiles)
    this.#words = regions.profiles.recordBytes >> 2
  }

  get model(): TierModel | null {
    return this.#model
  }

  get modelHash(): string | null {
    return this.#model?.hash ?? null
  }

  use(model: TierModel | null): void {
    this.#model = model
    this.#ids.use(model?.vocabulary ?? null)
  }

  /** Writes the features of the client in `slot` to `vector`. */
  fill(slot: number, now: number): void {
    const { clients, profiles, servers } = this.#regions
    const server = (clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.server] as number) - 1
    if (server >= 0) learnBackendUsage(profiles, slot, servers, server)
    fillFeatures(this.vector, this.#regions, slot, now)
    this.#ids.write(this.#get(slot, PROFILE.identity) - 1, this.vector)
  }

  evaluate(slot: number, now: number): void {
    this.fill(slot, now)
    const model = this.#model
    if (model !== null && this.values.mode !== 'off') {
      this.#count('tierEvaluations')
      const isSeen = this.vector[FEATURE.pairId] !== 0
      const hasEvidence = isSeen || this.#get(slot, PROFILE.queries) >= this.values.evidenceQueries
      // Asked of strangers before the model's first word only: what it has spoken of, it goes on with.
      const isNovel = hasEvidence && !isSeen && this.#get(slot, PROFILE.modelTier) === 0 && model.isNovel(this.vector)
      const isKnown = hasEvidence && !isNovel
      this.#flag(slot, PROFILE_FLAG.identitySeen, isSeen)
      this.#flag(slot, PROFILE_FLAG.abstained, !isKnown)
      this.#flag(slot, PROFILE_FLAG.novel, isNovel)
      if (isKnown) this.#consult(model, slot, now)
      else {
        this.#set(slot, PROFILE.modelTier, 0)
        this.#count('tierAbstentions')
      }
    } else if (this.values.mode === 'off') this.#set(slot, PROFILE.modelTier, 0)
    // Else a model is on its way: what the one before said holds meanwhile.
    this.#tiers.decide(slot, now)
    this.#set(slot, PROFILE.evaluatedAtQuery, this.#get(slot, PROFILE.queries))
    this.#regions.profiles.f64[slot * (this.#words >> 1) + PROFILE_F64.evaluatedAt] = now
  }

  #consult(model: TierModel, slot: number, now: number): void {
    const probabilities = this.#probabilities
    model.predict(this.vector, probabilities)
    const at = slot * this.#words + PROFILE_F32.probabilities
    for (let k = 0; k < 4; k++) this.#regions.profiles.f32[at + k] = probabilities[k] as number
    this.#set(slot, PROFILE.model, model.shortHash)
    this.#hysteresis.step(slot, probabilities, model.header.thresholds, now)
    this.#set(slot, PROFILE.evaluations, this.#get(slot, PROFILE.evaluations) + 1)
  }

  #flag(slot: number, flag: number, on: boolean): void {
    const flags = this.#get(slot, PROFILE.flags)
    this.#set(slot, PROFILE.flags, on ? flags | flag : flags & ~flag)
  }

  #get(slot: number, field: number): number {
    return this.#regions.profiles.i32[slot * this.#words + field] as number
  }

  #set(slot: number, field: number, value: number): void {
    this.#regions.profiles.i32[slot * this.#words + field] = value
  }
}
