import { readIdentityNames } from '../memory/identity-records.ts'
import type { Region } from '../memory/region.ts'
import { IDENTITY_FEATURE_COUNT } from './feature-vector.ts'
import type { VocabularyIndex } from './vocabulary.ts'

/** The identity features of each record of an identity table, looked up once per model: names are texts, ids are quick. */
export class IdentityIds {
  readonly #region: Region
  readonly #first: number
  readonly #values: Float32Array
  readonly #known: Uint8Array
  readonly #scratch = new Float32Array(IDENTITY_FEATURE_COUNT)
  #vocabulary: VocabularyIndex | null = null

  /** `first`, `count`: which records of the region. */
  constructor(region: Region, first: number, count: number) {
    this.#region = region
    this.#first = first
    this.#values = new Float32Array(count * IDENTITY_FEATURE_COUNT)
    this.#known = new Uint8Array(count)
  }

  use(vocabulary: VocabularyIndex | null): void {
    this.#vocabulary = vocabulary
    this.#known.fill(0)
  }

  /** The record is somebody else's now. */
  forget(record: number): void {
    this.#known[record - this.#first] = 0
  }

  /** Writes the identity features of the record, −1: of nobody, to the beginning of `vector`. */
  write(record: number, vector: Float32Array): void {
    const index = record - this.#first
    if (record < 0 || this.#vocabulary === null) {
      vector.fill(0, 0, IDENTITY_FEATURE_COUNT)
      return
    }
    const from = index * IDENTITY_FEATURE_COUNT
    if (this.#known[index] === 0) {
      const names = readIdentityNames(this.#region, record)
      this.#scratch.fill(0)
      if (names !== null) this.#vocabulary.write(names, this.#scratch, 0)
      this.#values.set(this.#scratch, from)
      this.#known[index] = 1
    }
    for (let k = 0; k < IDENTITY_FEATURE_COUNT; k++) vector[k] = this.#values[from + k] as number
  }
}
