import {
  BACKEND_FEATURES,
  FEATURE,
  FEATURE_COUNT,
  IDENTITY_FEATURES,
  IDENTITY_HISTORY_FEATURES,
  SITE_FEATURES,
} from '../../analyzer/feature-schema.ts'
import { pairKey } from '../../analyzer/identity.ts'
import { makeVocabulary, type Vocabulary, VocabularyIndex } from '../../analyzer/vocabulary.ts'
import { tierCode } from '../../shard/tier.ts'
import type { HistoryRow } from './history-row.ts'
import type { Label } from './labels.ts'
import type { LabelledRows } from './tree-trainer.ts'

/** Part of the rows with a name that lose what other connections of that name did. */
const HISTORY_DROPOUT = 0.35
/** Part of the rows that lose what their server process uses. */
const USAGE_DROPOUT = 0.35

/** After so many queries a stranger may be judged: the default of `evidence_queries`. */
export const EVIDENCE_QUERIES = 16

/** A row of the history with what it should be. */
export interface Example {
  readonly row: HistoryRow
  /** Tier code. */
  readonly label: number
  readonly weight: number
  readonly family: string | null
  readonly kind: Label['kind']
}

/** Rows that are labelled; those taken at the end of a connection are for the drift, not for learning. */
export function makeExamples(rows: readonly HistoryRow[], labels: readonly Label[]): readonly Example[] {
  const byConnection = new Map(labels.map((label) => [label.connection, label]))
  return rows.flatMap((row) => {
    const label = byConnection.get(row.connection)
    if (label === undefined || row.kind === 'end') return []
    if (label.mostQueries !== null && row.queries > label.mostQueries) return []
    const { tier, weight, family, kind } = label
    return [{ row, label: tierCode(tier), weight, family, kind }]
  })
}

/** Examples by what they are for, the oldest for training and the newest for the test. */
export interface Split {
  readonly training: readonly Example[]
  readonly validation: readonly Example[]
  readonly test: readonly Example[]
}

/** By time and by connection: who connected first is learned from, then validated on, then tested on; no one is in two. */
export function splitByTime(examples: readonly Example[], shares: readonly [number, number] = [0.6, 0.2]): Split {
  const begun = [...new Set(examples.map(({ row }) => row.connectedAt))].sort((a, b) => a - b)
  const at = (share: number): number => begun[Math.floor(share * begun.length)] ?? Number.POSITIVE_INFINITY
  const [first, second] = [at(shares[0]), at(shares[0] + shares[1])]
  return {
    training: examples.filter(({ row }) => row.connectedAt < first),
    validation: examples.filter(({ row }) => row.connectedAt >= first && row.connectedAt < second),
    test: examples.filter(({ row }) => row.connectedAt >= second),
  }
}

/** The names of the examples' connections, in the order of what those are. */
export function vocabularyOf(examples: readonly Example[]): Vocabulary {
  const labels = new Map(examples.map(({ row, label }) => [row, label]))
  const connections = new Map(examples.map(({ row }) => [row.connection, row]))
  return makeVocabulary(connections.values(), (row) => labels.get(row) as number)
}

/** What of identities is hidden while a model is trained; `random` gives numbers in [0, 1). */
export interface Dropout {
  readonly random: () => number
  /** Part of the rows that lose their identity, so that the model copes with strangers. */
  readonly share: number
  /** For use elsewhere: nothing of this installation is learned. */
  readonly portable: boolean
}

/** What trees are trained on. */
export function toRows(examples: readonly Example[], vocabulary: Vocabulary, dropout: Dropout | null): LabelledRows {
  const index = new VocabularyIndex(vocabulary)
  const values = new Float32Array(examples.length * FEATURE_COUNT)
  for (const [at, { row }] of examples.entries()) {
    const offset = at * FEATURE_COUNT
    values.set(row.features, offset)
    index.write(row, values, offset)
    if (dropout !== null) takeAway(values, offset, dropout)
  }
  return {
    features: FEATURE_COUNT,
    values,
    labels: Uint8Array.from(examples, ({ label }) => label),
    weights: Float32Array.from(examples, ({ weight }) => weight),
  }
}

/** Takes from a vector what another connection like it may lack. */
function takeAway(values: Float32Array, offset: number, { random, share, portable }: Dropout): void {
  const take = (features: readonly number[], value: number): void => {
    for (const feature of features) values[offset + feature] = value
  }
  const isStranger = random() < share
  if (isStranger) take(IDENTITY_FEATURES, 0)
  // A stranger that others like it came before is one too. And as an identity's history moves, its name has to be enough.
  if (random() < (isStranger ? 0.5 : HISTORY_DROPOUT)) take(IDENTITY_HISTORY_FEATURES, Number.NaN)
  if (portable) take(SITE_FEATURES, Number.NaN)
  // Elsewhere, server processes are out of reach.
  if (random() < USAGE_DROPOUT) take(BACKEND_FEATURES, Number.NaN)
}

/** Borders of ten equal parts of each feature. */
export function quantilesOf({ features, values }: LabelledRows): number[][] {
  return Array.from({ length: features }, (_, feature) => {
    const column: number[] = []
    for (let at = feature; at < values.length; at += features) {
      if (!Number.isNaN(values[at])) column.push(values[at] as number)
    }
    if (column.length < 10) return []
    column.sort((a, b) => a - b)
    return Array.from({ length: 9 }, (_, part) => column[Math.floor(((part + 1) * column.length) / 10)] as number)
  })
}

/** User and application. */
export function pairOf({ row }: Example): string {
  return pairKey(row)
}

/** Whether a vector's identity is in the vocabulary. */
export function isSeen(values: Float32Array, at: number): boolean {
  return values[at * FEATURE_COUNT + FEATURE.pairId] !== 0
}
