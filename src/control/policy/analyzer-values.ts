import type { Config } from '../../config/schema.ts'
import type { AnalyzerValues } from '../../shard/plane-values.ts'

/** What planes need of `[analyzer]`. */
export function analyzerValues({ analyzer }: Config): AnalyzerValues {
  return {
    mode: analyzer.mode,
    defaultTier: analyzer.defaultTier,
    hints: analyzer.hints === 'on',
    raisingUsers: analyzer.raisingUsers,
    evidenceQueries: analyzer.evidenceQueries,
    runaway: {
      elapsedMs: analyzer.runawayElapsedMs,
      rows: analyzer.runawayRows,
      bytes: analyzer.runawayBytes,
      action: analyzer.runawayAction,
      tier: analyzer.runawayTier,
      cooldownMs: analyzer.runawayCooldownMs,
    },
    historySample: analyzer.historySample / 100,
  }
}
