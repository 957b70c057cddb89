import { CLIENT, CLIENT_TEXT } from '../memory/client-slots.ts'
import { readIdentityNames } from '../memory/identity-records.ts'
import { PROFILE, PROFILE_F32, PROFILE_FLAG, SOURCES, type TierSource } from '../memory/profile-records.ts'
import { TIERS, type Tier, tierOf } from '../shard/tier.ts'
import { phrase, type Reason, reasonsFor, rivalOf } from './explanation.ts'
import { FEATURE, FEATURE_COUNT } from './feature-schema.ts'
import { type FeatureRegions, fillFeatures } from './feature-vector.ts'
import type { TierModel } from './tier-model.ts'

/** A connection's profile as values. */
export interface ProfileView {
  readonly slot: number
  readonly user: string
  readonly database: string
  /** As the client gives it, and as its identity has it. */
  readonly application: string
  readonly normalised: string
  readonly subnet: string
  /** What counts, who says so, and what would count if the model was obeyed. */
  readonly tier: Tier
  readonly source: TierSource
  readonly proposed: Tier | null
  readonly rule: Tier | null
  /** The number of the rule, from 1; 0: none. */
  readonly ruleNumber: number
  readonly hint: Tier | null
  readonly model: Tier | null
  /** In the order of `TIERS`; null: the model has not spoken. */
  readonly probabilities: readonly number[] | null
  readonly queries: number
  readonly changes: number
  readonly isIdentitySeen: boolean
  readonly isAbstaining: boolean
  /** The model abstains because nobody in its training behaved like that. */
  readonly isNovel: boolean
  readonly isRunaway: boolean
  /** Eight hexadecimal digits; empty: none. */
  readonly modelHash: string
  readonly features: Float32Array
}

/** The profile of the client in `slot`, or null when it has none. `model`: for its vocabulary. */
export function readProfile(
  regions: FeatureRegions,
  slot: number,
  model: TierModel | null,
  now: number,
): ProfileView | null {
  const { clients, profiles, identities } = regions
  const of = (field: number): number => profiles.i32[slot * (profiles.recordBytes >> 2) + field] as number
  const inSlot = (field: number): number => clients.i32[slot * (clients.recordBytes >> 2) + field] as number
  const generation = of(PROFILE.generation)
  if (generation === 0 || generation !== inSlot(CLIENT.generation)) return null
  const identity = of(PROFILE.identity) - 1
  const names = identity < 0 ? null : readIdentityNames(identities, identity)
  const features = new Float32Array(FEATURE_COUNT)
  fillFeatures(features, regions, slot, now)
  if (names !== null && model !== null) model.vocabulary.write(names, features, 0)
  const text = (field: keyof typeof CLIENT_TEXT): string => clients.readText(slot, CLIENT_TEXT[field].offset)
  const at = slot * (profiles.recordBytes >> 2) + PROFILE_F32.probabilities
  const flags = of(PROFILE.flags)
  const tier = (field: number): Tier | null => (of(field) === 0 ? null : tierOf(of(field) - 1))
  return {
    slot,
    user: text('user'),
    database: text('database'),
    application: text('applicationName'),
    normalised: names?.application ?? '',
    subnet: names?.subnet ?? '',
    tier: tierOf(inSlot(CLIENT.tier)),
    source: SOURCES[of(PROFILE.source)] ?? 'default',
    proposed: tier(PROFILE.proposed),
    rule: tier(PROFILE.ruleTier),
    ruleNumber: of(PROFILE.rule),
    hint: tier(PROFILE.commentHint) ?? tier(PROFILE.hintTier),
    model: tier(PROFILE.modelTier),
    probabilities: of(PROFILE.evaluations) === 0 ? null : [...profiles.f32.subarray(at, at + TIERS.length)],
    queries: of(PROFILE.queries),
    changes: of(PROFILE.changes),
    isIdentitySeen: (flags & PROFILE_FLAG.identitySeen) !== 0,
    isAbstaining: (flags & PROFILE_FLAG.abstained) !== 0,
    isNovel: (flags & PROFILE_FLAG.novel) !== 0,
    isRunaway: (flags & PROFILE_FLAG.runaway) !== 0,
    modelHash: of(PROFILE.model) === 0 ? '' : (of(PROFILE.model) >>> 0).toString(16).padStart(8, '0'),
    features,
  }
}

/** Why the model says what it says, strongest first; empty when it says nothing. */
export function profileReasons(profile: ProfileView, model: TierModel | null, most = 3): readonly Reason[] {
  if (model === null || profile.probabilities === null || profile.model === null) return []
  const tier = TIERS.indexOf(profile.model)
  return reasonsFor(model, profile.features, tier, rivalOf(profile.probabilities, tier), most)
}

/** One sentence on who decided. */
export function describeSource(profile: ProfileView): string {
  switch (profile.source) {
    case 'rule':
      return `Rule ${profile.ruleNumber} of tiers.rules says ${profile.rule}.`
    case 'hint':
      return `The client asked for ${profile.hint}.`
    case 'model':
      return `The model ${profile.modelHash} says ${profile.model}.`
    case 'identity':
      return 'Connections of the same user, database, application and subnet were that last.'
    case 'runaway':
      return 'One of its requests went beyond the runaway limits.'
    case 'default':
      return `${describeAbstention(profile) ?? 'Nothing speaks for another one'}: the default.`
  }
}

/** Why the model says nothing, as half a sentence; null: it was not that it abstained. */
export function describeAbstention({ isAbstaining, isNovel }: ProfileView): string | null {
  const unknown = 'Its user and application are not known from training'
  if (isNovel) return `${unknown} and nobody there behaved like it`
  return isAbstaining ? `${unknown} and it has sent too few queries` : null
}

/** What the analyzer of a plane shows of one of its clients. */
export interface ReportingAnalyzer {
  readonly regions: FeatureRegions
  readonly model: TierModel | null
  readonly values: { readonly mode: string }
}

/** Shown when they are known. */
const SHOWN = [
  'superuser',
  'memberships',
  'statementTimeout',
  'readOnly',
  'backendCpu',
  'backendMemory',
  'backendRead',
  'backendWrite',
] as const

/** What `SHOW switchyard.profile` prints; the first line is the tier. */
export function profileLines(
  { regions, model, values }: ReportingAnalyzer,
  slot: number,
  now: number,
): readonly (readonly [name: string, value: string])[] {
  const profile = readProfile(regions, slot, model, now)
  if (profile === null)
    return [['tier', tierOf(regions.clients.i32[slot * (regions.clients.recordBytes >> 2) + CLIENT.tier] as number)]]
  const likely = profile.probabilities?.map((p, k) => `${TIERS[k]} ${p.toFixed(2)}`).join(', ')
  return [
    ['tier', profile.tier],
    ['source', profile.source],
    ['why', describeSource(profile)],
    ['mode', values.mode],
    ['proposed', profile.proposed ?? ''],
    ['probabilities', likely ?? ''],
    ['identity', `${profile.user} ${profile.database} ${profile.normalised} ${profile.subnet}`],
    ['identity_seen', String(profile.isIdentitySeen)],
    ['queries', String(profile.queries)],
    ['queries_per_second', (profile.features[FEATURE.rateSlow] as number).toFixed(2)],
    ['model', profile.modelHash],
    ...SHOWN.flatMap((name) => {
      const value = profile.features[FEATURE[name]] as number
      return Number.isNaN(value) ? [] : [[name, phrase(name, value)] as const]
    }),
    ...profileReasons(profile, model).map(({ text }, index) => [`reason_${index + 1}`, text] as const),
  ]
}
