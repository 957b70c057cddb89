import { createHash } from 'node:crypto'
import { TIERS } from '../shard/tier.ts'
import { FEATURE_COUNT, FEATURE_NAMES, FEATURE_SCHEMA_HASH } from './feature-schema.ts'
import { NoveltyDetector, type NoveltyHeader, noveltyProblem } from './novelty.ts'
import { checkTrees, softmax, type TreeArrays, TreeEnsemble } from './tree-ensemble.ts'
import { type Vocabulary, VocabularyIndex } from './vocabulary.ts'

export const MODEL_FORMAT = 1
const MOST_NODES = 65_536
const MOST_TREES = 2_000

/** Everything of a model file but its arrays and its hash. */
export interface ModelHeader {
  readonly format: number
  readonly featureHash: string
  readonly features: readonly string[]
  /** The tiers, in the order of the scores. */
  readonly classes: readonly string[]
  /** Scores are divided by it. */
  readonly temperature: number
  /** How sure it has to be, per class. */
  readonly thresholds: readonly number[]
  readonly vocabulary: Vocabulary
  /** Borders of 10 equal parts of each feature in training, to tell when they have moved; one array per feature. */
  readonly quantiles: readonly (readonly number[])[]
  /** What it can tell strangers by whose behaviour is new to it as well; without it, it speaks of everybody. */
  readonly novelty?: NoveltyHeader
  /** How sure it was, on average, of later connections than those it learned from. */
  readonly confidence?: number
  /** When and on what it was made, and how well it did; for people. */
  readonly about: Readonly<Record<string, unknown>>
}

/** A model file as JSON: what travels from control to planes. */
export interface ModelFile extends ModelHeader {
  /** Base64 of little-endian arrays. */
  readonly arrays: Readonly<Record<keyof TreeArrays, string>>
  /** Of all else, as `modelHash` makes it. */
  readonly sha256: string
}

/** A model file that cannot be used: a sentence that says why. */
export class BadModel extends Error {}

/** A model ready to speak. */
export class TierModel {
  readonly header: ModelHeader
  readonly trees: TreeEnsemble
  readonly vocabulary: VocabularyIndex
  readonly #novelty: NoveltyDetector | null
  /** Hexadecimal, of the whole file. */
  readonly hash: string
  /** Its first four bytes as a number. */
  readonly shortHash: number

  private constructor(header: ModelHeader, trees: TreeEnsemble, hash: string) {
    this.header = header
    this.trees = trees
    this.hash = hash
    this.shortHash = Number.parseInt(hash.slice(0, 8), 16) | 0
    this.vocabulary = new VocabularyIndex(header.vocabulary)
    this.#novelty = header.novelty === undefined ? null : new NoveltyDetector(header.novelty)
  }

  /** Checks everything that could make a walk through it go wrong. @throws BadModel */
  static open(file: ModelFile): TierModel {
    const problem = describeProblem(file)
    if (problem !== null) throw new BadModel(problem)
    const arrays = decodeArrays(file.arrays)
    const broken = checkTrees(arrays, FEATURE_COUNT, TIERS.length)
    if (broken !== null) throw new BadModel(`The model file is damaged: ${broken}.`)
    if (arrays.feature.length > MOST_NODES || arrays.roots.length > MOST_TREES) {
      throw new BadModel(`The model is too large: at most ${MOST_TREES} trees with ${MOST_NODES} nodes can be used.`)
    }
    return new TierModel(file, new TreeEnsemble(arrays), file.sha256)
  }

  /** The probabilities of the tiers, in the order of their codes. */
  predict(vector: Float32Array, probabilities: Float64Array): void {
    this.trees.score(vector, probabilities)
    softmax(probabilities, this.header.temperature)
  }

  /** Whether it has learned from nobody who behaved like that, so that what it says of it is worth nothing. */
  isNovel(vector: Float32Array): boolean {
    return this.#novelty?.isNovel(vector) ?? false
  }
}

function describeProblem(file: ModelFile): string | null {
  if (typeof file !== 'object' || file === null) return 'The model file is not a JSON object.'
  if (file.format !== MODEL_FORMAT) {
    return `The model file has format ${String(file.format)}; this version reads ${MODEL_FORMAT}.`
  }
  if (file.featureHash !== FEATURE_SCHEMA_HASH) {
    return `The model was made for other features (${file.featureHash}, not ${FEATURE_SCHEMA_HASH}); train it again.`
  }
  if (JSON.stringify(file.classes) !== JSON.stringify(TIERS)) {
    return `The model's classes are not the tiers ${TIERS.join(', ')}.`
  }
  if (file.sha256 !== modelHash(file)) return 'The model file has been changed or cut: its hash is another one.'
  const { temperature, thresholds } = file
  if (!(temperature > 0.01 && temperature < 100))
    return `The model's temperature ${String(temperature)} makes no sense.`
  if (thresholds.length !== TIERS.length || !thresholds.every((threshold) => threshold >= 0 && threshold <= 1)) {
    return 'The model needs one threshold between 0 and 1 for each tier.'
  }
  const problem = file.novelty === undefined ? null : noveltyProblem(file.novelty)
  if (problem !== null) return `What the model file says of known behaviour is damaged: ${problem}.`
  return null
}

/** The file that says all this. */
export function encodeModel(
  header: Omit<ModelHeader, 'format' | 'featureHash' | 'features' | 'classes'>,
  trees: TreeArrays,
): ModelFile {
  const file = {
    format: MODEL_FORMAT,
    featureHash: FEATURE_SCHEMA_HASH,
    features: FEATURE_NAMES,
    classes: TIERS,
    ...header,
    arrays: encodeArrays(trees),
  }
  return { ...file, sha256: modelHash(file) }
}

/** SHA-256 of the file's JSON without its hash, in hexadecimal. */
export function modelHash(file: Omit<ModelFile, 'sha256'>): string {
  const { sha256: _, ...rest } = file as ModelFile
  return createHash('sha256').update(JSON.stringify(rest)).digest('hex')
}

const KINDS = {
  base: Float32Array,
  roots: Int32Array,
  feature: Uint8Array,
  threshold: Float32Array,
  left: Int32Array,
  right: Int32Array,
  missing: Int32Array,
  leaves: Float32Array,
  expected: Float32Array,
} as const

function encodeArrays(trees: TreeArrays): ModelFile['arrays'] {
  const encoded = {} as Record<keyof TreeArrays, string>
  for (const name of Object.keys(KINDS) as (keyof TreeArrays)[]) {
    const { buffer, byteOffset, byteLength } = trees[name]
    encoded[name] = Buffer.from(buffer, byteOffset, byteLength).toString('base64')
  }
  return encoded
}

function decodeArrays(arrays: ModelFile['arrays']): TreeArrays {
  const decoded: Partial<Record<keyof TreeArrays, Float32Array | Int32Array | Uint8Array>> = {}
  for (const [name, Kind] of Object.entries(KINDS)) {
    const bytes = Buffer.from(String(arrays?.[name as keyof TreeArrays] ?? ''), 'base64')
    if (bytes.length % Kind.BYTES_PER_ELEMENT !== 0) throw new BadModel(`The model file is damaged: ${name} is cut.`)
    const copy = new Uint8Array(bytes).buffer
    decoded[name as keyof TreeArrays] = new Kind(copy)
  }
  return decoded as unknown as TreeArrays
}
