import type { ModelFile } from '../../analyzer/tier-model.ts'
import { type Example, splitByTime, toRows } from './dataset.ts'
import { measure } from './metrics.ts'
import { predictRows } from './train-model.ts'

/** By chance alone, two equal models differ by so much. */
const TOLERANCE = 0.005

/** Whether a model takes the place of the present one, null: there is none, with the figures that decide. */
export interface PromotionVerdict {
  readonly promoted: boolean
  /** One sentence. */
  readonly reason: string
  readonly candidate: { readonly macroF1: number; readonly highRecall: number }
  readonly current: { readonly macroF1: number; readonly highRecall: number } | null
}

/** Whether `candidate` is at least as good as `current` on the newest fifth of the examples. */
export function comparePromotion(
  candidate: ModelFile,
  current: ModelFile | null,
  examples: readonly Example[],
): PromotionVerdict {
  const { test } = splitByTime(examples, [0.6, 0.2])
  const score = (file: ModelFile) => {
    const rows = toRows(test, file.vocabulary, null)
    const { macroF1, classes } = measure(rows.labels, predictRows(file, rows).classes)
    return { macroF1, highRecall: classes.high?.recall ?? 0 }
  }
  const mine = score(candidate)
  if (test.length === 0) {
    return {
      promoted: false,
      reason: 'there are no labelled connections to compare on',
      candidate: mine,
      current: null,
    }
  }
  if (current === null) return { promoted: true, reason: 'there is no other model', candidate: mine, current: null }
  const other = score(current)
  const verdict = { candidate: mine, current: other }
  const worse = (what: 'macroF1' | 'highRecall'): boolean => mine[what] < other[what] - TOLERANCE
  if (worse('macroF1')) {
    const reason = `its macro-F1 is ${mine.macroF1.toFixed(3)}, and that of the current model ${other.macroF1.toFixed(3)}`
    return { promoted: false, reason, ...verdict }
  }
  if (worse('highRecall')) {
    const reason = `it finds ${percent(mine.highRecall)} of the high ones, and the current model ${percent(other.highRecall)}`
    return { promoted: false, reason, ...verdict }
  }
  return { promoted: true, reason: 'it is not worse on the newest connections', ...verdict }
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`
}
