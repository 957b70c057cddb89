import { type LoadSample, lastSamples, missedShare, slopeOf, withSample } from './load-history.ts'
import { type ScaleUnit, type TierWait, type UnitShard, unitName, utilisationOf, workingShards } from './scale-unit.ts'

/** What should happen to a unit, and why. */
export type ScaleVerdict =
  | { readonly action: 'none'; readonly reason: string }
  | { readonly action: 'add'; readonly group: string; readonly pool: string | null; readonly reason: string }
  | { readonly action: 'remove'; readonly shard: string; readonly reason: string }

/** The operator's limits. Durations in milliseconds. */
export interface ScaleLimits {
  /** An objective has to be missed for so long. */
  readonly sustainMs: number
  /** One shard less has to be enough for so long. */
  readonly idleMs: number
  /** From one change to the next shard that is added, and that is taken away. */
  readonly cooldownOutMs: number
  readonly cooldownInMs: number
  /** Hours that added shards may live in 24 hours, all together; 0 = no cap. */
  readonly shardHours: number
}

/** What holds for all units together. */
export interface ScaleBudget {
  /** Hours that added shards have lived in the last 24 hours. */
  readonly spentHours: number
  /** How long it took to make the last shard. Milliseconds. */
  readonly readyMs: number
}

/** What is remembered of a unit from one look to the next. Times in milliseconds, `-Infinity`: never. */
export interface UnitMemory {
  readonly history: readonly LoadSample[]
  readonly lastOutAt: number
  readonly lastInAt: number
  /** Changes that failed since the last one that did not, and when. */
  readonly failures: number
  readonly failedAt: number
  /** How often in a row a shard was missed soon after it had been taken away. */
  readonly regrets: number
  /** Utilisation at which an objective was missed, the lowest that was seen of late: what counts as full. */
  readonly fullAt: number
}

export const NEW_UNIT: UnitMemory = Object.freeze({
  history: [],
  lastOutAt: Number.NEGATIVE_INFINITY,
  lastInAt: Number.NEGATIVE_INFINITY,
  failures: 0,
  failedAt: Number.NEGATIVE_INFINITY,
  regrets: 0,
  fullAt: 1,
})

/** Part of the samples that have to miss an objective: one good second in between is no recovery. */
const MOSTLY = 0.7
/** Replicas have room below this utilisation, so that what waits on the primary waits for a write. */
const ROOM = 0.9
/** A rising load is met early from this utilisation on. */
const RISING_FROM = 0.7
const TREND_MS = 60_000
/** Of what counts as full, what the shards that stay may have to do. */
const ENOUGH = 0.6
const LONGEST_BACKOFF_MS = 3_600_000
const MOST_REGRETS = 4
/** What counts as full is believed a little less with each sample: 0.1 % of the way back to "all slots". */
const FORGETTING = 0.001
/** And follows what was found so fast: one wait for a connection to be opened says little. */
const LEARNING = 0.1
/** So many samples may miss an objective in a time that counts as quiet. */
const RARELY = 0.05

/** What is remembered after one more look at `unit`. */
export function noteSample(memory: UnitMemory, unit: ScaleUnit, limits: ScaleLimits, now: number): UnitMemory {
  const utilisation = utilisationOf(workingShards(unit))
  const isMissed = missedTier(unit) !== null || appealingShard(unit) !== null
  const keptMs = Math.max(limits.sustainMs, idleMs(memory, limits), TREND_MS) + 10_000
  const faded = memory.fullAt + (1 - memory.fullAt) * FORGETTING
  return {
    ...memory,
    history: withSample(memory.history, { at: now, utilisation, isMissed }, keptMs),
    fullAt: isMissed && utilisation < faded ? faded + (utilisation - faded) * LEARNING : faded,
  }
}

/** What is remembered once a shard has been added or taken away, or that failed: what was seen before says nothing now. */
export function noteChange(
  memory: UnitMemory,
  change: 'out' | 'in' | 'failed',
  limits: ScaleLimits,
  now: number,
): UnitMemory {
  const begun = { ...memory, history: [] }
  if (change === 'failed') return { ...begun, failures: memory.failures + 1, failedAt: now }
  if (change === 'in') return { ...begun, failures: 0, lastInAt: now }
  return { ...begun, failures: 0, lastOutAt: now, regrets: regretsAfter(memory, limits, now) }
}

/** Only the first shard that follows one that was taken away tells whether that was wrong. */
function regretsAfter(memory: UnitMemory, limits: ScaleLimits, now: number): number {
  const { lastInAt, lastOutAt, regrets } = memory
  if (lastInAt <= lastOutAt) return regrets
  const isRegretted = now - lastInAt < 2 * (idleMs(memory, limits) + limits.cooldownInMs)
  return isRegretted ? Math.min(MOST_REGRETS, regrets + 1) : Math.max(0, regrets - 1)
}

/**
 * Whether `unit` needs a shard more or less now. Pure: the same for the same arguments.
 *
 * A shard is added when for `sustainMs` a tier has waited longer than its objective, on replicas or because no replica has
 * room, or lower tiers have had nothing left to give to a higher one there; or when a rising load will fill the replicas
 * before a shard could be ready. One is taken away when those that stay
 * would have had enough room for all of `idleMs`. Nothing happens within a cool-down, while a shard is on its way, or
 * beyond a limit. A shard that was missed soon after it was taken away makes the next look wait twice as long.
 */
export function planScale(
  unit: ScaleUnit,
  memory: UnitMemory,
  limits: ScaleLimits,
  budget: ScaleBudget,
  now: number,
): ScaleVerdict {
  const moving = unit.shards.find(({ state }) => state === 'starting' || state === 'draining')
  if (moving !== undefined) return none(`${moving.name} is ${moving.state}`)
  const backoffMs = Math.min(LONGEST_BACKOFF_MS, limits.cooldownOutMs * 2 ** memory.failures)
  if (memory.failures > 0 && now - memory.failedAt < backoffMs) {
    return none(`the last change failed; the next attempt is in ${seconds(backoffMs - (now - memory.failedAt))}`)
  }
  const need = needOf(unit, memory, limits, budget, now)
  if (need.isNeeded) return addition(unit, memory, limits, budget, now, need.reason)
  return removal(unit, memory, limits, now) ?? none(need.reason)
}

interface Need {
  readonly isNeeded: boolean
  readonly reason: string
}

function needOf(unit: ScaleUnit, memory: UnitMemory, limits: ScaleLimits, budget: ScaleBudget, now: number): Need {
  const { shards, minShards } = unit
  if (shards.length < minShards) return yes(`${shards.length} shards, and at least ${minShards} are wanted`)
  const working = workingShards(unit)
  const use = utilisationOf(working)
  const missed = missedTier(unit)
  const appealing = appealingShard(unit)
  const isFull = use >= ROOM || missed !== null || appealing !== null
  if (unit.obstacle !== null) {
    const asks = isFull || unit.tiers.some(isLate)
    return no(asks ? `more replicas would not help: ${unit.obstacle}` : `enough room (${percent(use)} in use)`)
  }
  const what = missed !== null ? waitText(missed) : appealing !== null ? appealText(appealing) : null
  if (what !== null) {
    const sustained = lastSamples(memory.history, now, limits.sustainMs)
    if (sustained === null || missedShare(sustained) < MOSTLY)
      return no(`${what}, not yet for ${seconds(limits.sustainMs)}`)
    return yes(`${what}, with ${percent(use)} of the slots in use`)
  }
  const late = unit.tiers.find(isLate)
  if (late !== undefined) {
    const waits = `${late.tier} waits ${Math.round(late.onPrimaryMs)} ms at p99 on the primary`
    return no(`${waits} while replicas have room (${percent(use)} in use): writes wait, and replicas do not help them`)
  }
  return risingNeed(memory, use, budget, now) ?? no(`enough room (${percent(use)} in use)`)
}

/** Null: the load does not rise so that it would be too late to wait. */
function risingNeed(memory: UnitMemory, use: number, budget: ScaleBudget, now: number): Need | null {
  const samples = lastSamples(memory.history, now, TREND_MS)
  if (samples === null || use < RISING_FROM * memory.fullAt) return null
  const slope = slopeOf(samples)
  const projected = use + slope * budget.readyMs
  const isSteady = slopeOf(samples.slice(samples.length >> 1)) > 0
  if (!isSteady || slope <= 0 || projected < memory.fullAt || projected - use < 0.1) return null
  const when = seconds(budget.readyMs)
  return yes(
    `${percent(use)} of the slots are in use and ${percent(projected)} will be in ${when}, when a shard is ready`,
  )
}

function addition(
  unit: ScaleUnit,
  memory: UnitMemory,
  limits: ScaleLimits,
  budget: ScaleBudget,
  now: number,
  reason: string,
): ScaleVerdict {
  const { group, pool, shards, maxShards } = unit
  if (shards.length >= maxShards) return none(`${reason}; but ${unitName(unit)} has ${shards.length} shards already`)
  const { shardHours } = limits
  if (shardHours > 0 && budget.spentHours >= shardHours) {
    return none(`${reason}; but added shards have lived ${budget.spentHours.toFixed(1)} of ${shardHours} hours today`)
  }
  const left = Math.max(memory.lastOutAt, memory.lastInAt) + limits.cooldownOutMs - now
  if (left > 0) return none(`${reason}; but the last change is too recent, ${seconds(left)} are left`)
  return { action: 'add', group, pool, reason }
}

/** Null: nothing can be taken away. */
function removal(unit: ScaleUnit, memory: UnitMemory, limits: ScaleLimits, now: number): ScaleVerdict | null {
  const candidate = leastNeeded(unit)
  if (candidate === null || unit.shards.length <= unit.minShards) return null
  if (unit.tiers.some(isLate) || unit.shards.some(({ appeal }) => appeal !== null)) return null
  const windowMs = idleMs(memory, limits)
  const samples = lastSamples(memory.history, now, windowMs)
  if (samples === null) return null
  const working = workingShards(unit)
  const slots = (shards: readonly UnitShard[]): number => shards.reduce((sum, shard) => sum + shard.slots, 0)
  const others = working.filter((shard) => shard !== candidate)
  const staying =
    others.length > 0 ? others : unit.shards.filter(({ isPrimary, state }) => isPrimary && state === 'serving')
  const extra = others.length > 0 ? 0 : staying.reduce((sum, { busy }) => sum + busy, 0)
  const highest = Math.max(...samples.map(({ utilisation }) => utilisation))
  const then = slots(staying) === 0 ? Number.POSITIVE_INFINITY : (highest * slots(working) + extra) / slots(staying)
  if (missedShare(samples) > RARELY || then > ENOUGH * memory.fullAt) return null
  const left = Math.max(memory.lastOutAt, memory.lastInAt) + limits.cooldownInMs - now
  if (left > 0)
    return none(`${candidate.name} is not needed, but the last change is too recent: ${seconds(left)} are left`)
  const reason = `for ${seconds(windowMs)} the others would have had at most ${percent(then)} of their slots in use`
  return { action: 'remove', shard: candidate.name, reason }
}

/** The added shard with the least to do, the last one of those with the same. */
function leastNeeded({ shards }: ScaleUnit): UnitShard | null {
  let least: UnitShard | null = null
  for (const shard of shards) {
    if (!shard.isAdded || shard.isPrimary || shard.state !== 'serving') continue
    if (least === null || shard.busy <= least.busy) least = shard
  }
  return least
}

/** The most important tier that waits too long for what another replica could take over; null: none. */
function missedTier(unit: ScaleUnit): TierWait | null {
  const hasRoom = hasRoomOnReplicas(unit)
  return (
    unit.tiers.find(({ onReplicasMs, onPrimaryMs, objectiveMs }) =>
      hasRoom ? onReplicasMs > objectiveMs : Math.max(onReplicasMs, onPrimaryMs) > objectiveMs,
    ) ?? null
  )
}

/** The shard where lower tiers have nothing left to give, if another replica could take some of its work over; null: none. */
function appealingShard(unit: ScaleUnit): UnitShard | null {
  const hasRoom = hasRoomOnReplicas(unit)
  return unit.shards.find(({ appeal, isPrimary }) => appeal !== null && !(isPrimary && hasRoom)) ?? null
}

/** Reads go to a shard with room, so that what is on the primary as long as replicas have some are writes. */
function hasRoomOnReplicas(unit: ScaleUnit): boolean {
  const working = workingShards(unit)
  return working.some(({ isPrimary }) => !isPrimary) && utilisationOf(working) < ROOM
}

const waitOf = ({ onReplicasMs, onPrimaryMs }: TierWait): number => Math.max(onReplicasMs, onPrimaryMs)
const waitText = (wait: TierWait): string =>
  `${wait.tier} waits ${Math.round(waitOf(wait))} ms at p99, ${wait.objectiveMs} ms are wanted`
const appealText = ({ name, appeal }: UnitShard): string =>
  `lower tiers have nothing left to give on ${name}: ${appeal}`
const isLate = (wait: TierWait): boolean => waitOf(wait) > wait.objectiveMs

/** A shard that was missed before is not let go of as soon the next time. */
function idleMs({ regrets }: UnitMemory, limits: ScaleLimits): number {
  return limits.idleMs * 2 ** regrets
}

const yes = (reason: string): Need => ({ isNeeded: true, reason })
const no = (reason: string): Need => ({ isNeeded: false, reason })
const none = (reason: string): ScaleVerdict => ({ action: 'none', reason })
const percent = (part: number): string => (Number.isFinite(part) ? `${Math.round(part * 100)} %` : 'all')
const seconds = (ms: number): string => `${Math.max(0, Math.round(ms / 1000))} s`
