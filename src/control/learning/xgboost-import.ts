import { FEATURE, FEATURE_COUNT, FEATURE_NAMES, type FeatureName } from '../../analyzer/feature-schema.ts'
import { BadModel, encodeModel, type ModelFile } from '../../analyzer/tier-model.ts'
import { NO_VOCABULARY } from '../../analyzer/vocabulary.ts'
import { TIERS } from '../../shard/tier.ts'
import type { GrownTree } from './tree-grower.ts'
import { assemble } from './tree-trainer.ts'

/** The part of an XGBoost model saved as JSON that matters: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html */
interface XgboostModel {
  readonly learner: {
    readonly feature_names?: readonly string[]
    readonly learner_model_param: { readonly num_class: string }
    readonly gradient_booster: {
      readonly model: { readonly trees: readonly XgboostTree[]; readonly tree_info: readonly number[] }
    }
  }
}

interface XgboostTree {
  readonly left_children: readonly number[]
  readonly right_children: readonly number[]
  readonly split_indices: readonly number[]
  /** Of a leaf, its score. */
  readonly split_conditions: readonly number[]
  readonly default_left: readonly (number | boolean)[]
  readonly sum_hessian?: readonly number[]
}

/**
 * A model of XGBoost (`multi:softprob`, four classes in the order of the tiers, features with our names) in our form. It
 * knows no names of identities. @throws BadModel
 */
export function importXgboost(file: unknown): ModelFile {
  const { learner } = file as XgboostModel
  const trees = learner?.gradient_booster?.model?.trees
  if (!Array.isArray(trees)) throw new BadModel('This is not a tree model of XGBoost saved as JSON.')
  if (Number(learner.learner_model_param.num_class) !== TIERS.length) {
    throw new BadModel(`The model needs ${TIERS.length} classes, in the order ${TIERS.join(', ')}.`)
  }
  const features = featuresOf(learner.feature_names ?? [])
  const info = learner.gradient_booster.model.tree_info
  const grown = trees.map((tree: XgboostTree, index: number) => convert(tree, info[index] ?? 0, features))
  const header = {
    temperature: 1,
    thresholds: [0.6, 0.6, 0.6, 0.6],
    vocabulary: NO_VOCABULARY,
    quantiles: Array.from({ length: FEATURE_COUNT }, () => []),
    about: { importedFrom: 'XGBoost', trees: trees.length },
  }
  // XGBoost adds the same base score to every class, which softmax does not see.
  return encodeModel(header, assemble(grown, new Float32Array(TIERS.length)))
}

/** Where each of its features is in ours; without names they are taken to be ours in order. */
function featuresOf(names: readonly string[]): readonly number[] {
  if (names.length === 0) return FEATURE_NAMES.map((_, index) => index)
  return names.map((name) => {
    const position = FEATURE[name as FeatureName]
    if (position === undefined) throw new BadModel(`The model has a feature "${name}", which there is not here.`)
    return position
  })
}

function convert(source: XgboostTree, classIndex: number, features: readonly number[]): GrownTree {
  const tree: GrownTree = { feature: [], threshold: [], left: [], right: [], missingLeft: [], leaves: [], cover: [] }
  const leaves: Float32Array[] = []
  const cover: number[] = []
  const visit = (at: number): number => {
    if (source.left_children[at] === -1) {
      const scores = new Float32Array(TIERS.length)
      scores[classIndex] = source.split_conditions[at] as number
      leaves.push(scores)
      cover.push(source.sum_hessian?.[at] ?? 1)
      return -leaves.length
    }
    const node = tree.feature.length
    tree.feature.push(features[source.split_indices[at] as number] ?? FEATURE_COUNT)
    tree.threshold.push(justBelow(source.split_conditions[at] as number))
    tree.missingLeft.push(Boolean(source.default_left[at]))
    tree.left.push(0)
    tree.right.push(0)
    tree.left[node] = visit(source.left_children[at] as number)
    tree.right[node] = visit(source.right_children[at] as number)
    return node
  }
  visit(0)
  return { ...tree, leaves, cover }
}

/** What is below a border goes left there, what is at most the border here: the next smaller number of 32 bits. */
function justBelow(value: number): number {
  const floats = Float32Array.of(value)
  const bits = new Int32Array(floats.buffer)
  const border = floats[0] as number
  if (border === 0) return -1e-45
  bits[0] = (bits[0] as number) + (border > 0 ? -1 : 1)
  return floats[0] as number
}
