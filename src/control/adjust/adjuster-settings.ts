import type { Config } from '../../config/schema.ts'
import { TIERS } from '../../shard/tier.ts'
import type { AdjusterSettings } from './adjuster.ts'

/** What the configuration says of adjustments. */
export function adjusterSettings({ adjust, scaling }: Config): AdjusterSettings {
  const objectives = {
    high: scaling.highMs,
    medium: scaling.mediumMs,
    low: scaling.lowMs,
    background: scaling.backgroundMs,
  }
  return { ...adjust, objectives: TIERS.map((tier) => objectives[tier]) }
}
