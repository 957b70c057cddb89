import { softmax, type TreeArrays, TreeEnsemble } from '../../analyzer/tree-ensemble.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { FeatureBins, type FeatureRows, rowCount } from './feature-bins.ts'
import { type Gradients, type GrownTree, TreeGrower, type TreeShape } from './tree-grower.ts'

/** Rows with what they should be: a class each, and how much each counts. */
export interface LabelledRows extends FeatureRows {
  readonly labels: Uint8Array
  readonly weights: Float32Array
}

/** How trees are trained; the same seed and rows give the same trees. */
export interface TrainingOptions {
  readonly classes: number
  readonly seed: number
  readonly mostTrees: number
  /** Trees without getting better on the validation rows, after which it is over. */
  readonly patience: number
  /** Part of the rows, and of the features, that each tree sees. */
  readonly rowShare: number
  readonly featureShare: number
  readonly shape: TreeShape
  /** The first trees of a run with the same rows and options that was interrupted. */
  readonly begun?: readonly GrownTree[]
  /** After each tree. */
  readonly onTree?: (trees: readonly GrownTree[], loss: number) => void
}

export const DEFAULT_TRAINING: TrainingOptions = {
  classes: 4,
  seed: 1,
  mostTrees: 60,
  patience: 6,
  rowShare: 0.8,
  featureShare: 0.7,
  shape: { leaves: 16, leastRows: 20, lambda: 2, learningRate: 0.25, leastGain: 0.2 },
}

/** The trees up to the best one on the validation rows. */
export interface TrainedTrees {
  readonly trees: TreeArrays
  /** Mean log loss on the validation rows. */
  readonly loss: number
}

/**
 * Gradient boosting with second derivatives of the softmax loss; one tree per round whose leaves have a score for every
 * class. What it returns are the trees up to the round that was best on `validation`, which has to be later than `training`
 * for that to mean anything. The same rows, options and seed give the same trees.
 */
export function trainTrees(training: LabelledRows, validation: LabelledRows, options: TrainingOptions): TrainedTrees {
  const { classes } = options
  const random = seededRandom(options.seed)
  const bins = new FeatureBins(training)
  const grower = new TreeGrower(bins.assign(training), bins.borders, classes, options.shape)
  const base = baseScores(training, classes)
  const scores = repeat(base, rowCount(training))
  const checks = repeat(base, rowCount(validation))
  const grown: GrownTree[] = []
  let best = { trees: 0, loss: meanLoss(checks, validation, classes) }
  while (grown.length < options.mostTrees && grown.length - best.trees < options.patience) {
    const gradients = gradientsOf(scores, training, classes)
    const rows = chooseRows(rowCount(training), options.rowShare, random)
    const allowed = chooseFeatures(training.features, options.featureShare, random)
    const tree = options.begun?.[grown.length] ?? grower.grow(rows, gradients, allowed)
    grown.push(tree)
    const one = new TreeEnsemble(assemble([tree], new Float32Array(classes)))
    addScores(one, training, scores)
    addScores(one, validation, checks)
    const loss = meanLoss(checks, validation, classes)
    if (loss < best.loss - 1e-5) best = { trees: grown.length, loss }
    options.onTree?.(grown, loss)
  }
  return { trees: assemble(grown.slice(0, Math.max(1, best.trees)), base), loss: best.loss }
}

/** The logarithms of how frequent the classes are. */
function baseScores({ labels, weights }: LabelledRows, classes: number): Float32Array {
  const sums = new Float64Array(classes).fill(1)
  for (let row = 0; row < labels.length; row++) sums[labels[row] as number]! += weights[row] as number
  const total = sums.reduce((a, b) => a + b)
  return Float32Array.from(sums, (sum) => Math.log(sum / total))
}

function repeat(values: Float32Array, times: number): Float64Array {
  const all = new Float64Array(values.length * times)
  for (let row = 0; row < times; row++) all.set(values, row * values.length)
  return all
}

function gradientsOf(scores: Float64Array, { labels, weights }: LabelledRows, classes: number): Gradients {
  const first = new Float32Array(scores.length)
  const second = new Float32Array(scores.length)
  const row = new Float64Array(classes)
  for (let index = 0; index < labels.length; index++) {
    const from = index * classes
    const weight = weights[index] as number
    for (let k = 0; k < classes; k++) row[k] = scores[from + k] as number
    softmax(row, 1)
    for (let k = 0; k < classes; k++) {
      const p = row[k] as number
      first[from + k] = weight * (p - (labels[index] === k ? 1 : 0))
      second[from + k] = weight * Math.max(p * (1 - p), 1e-6)
    }
  }
  return { first, second }
}

function chooseRows(count: number, share: number, random: () => number): Int32Array {
  const rows = new Int32Array(count)
  let chosen = 0
  for (let row = 0; row < count; row++) if (share >= 1 || random() < share) rows[chosen++] = row
  return rows.slice(0, chosen)
}

function chooseFeatures(count: number, share: number, random: () => number): Uint8Array {
  const allowed = Uint8Array.from({ length: count }, () => (share >= 1 || random() < share ? 1 : 0))
  return allowed.includes(1) ? allowed : allowed.fill(1)
}

function addScores(trees: TreeEnsemble, { features, values }: FeatureRows, scores: Float64Array): void {
  const row = new Float64Array(trees.classes)
  for (let index = 0; index < values.length / features; index++) {
    trees.score(values.subarray(index * features, (index + 1) * features), row)
    for (let k = 0; k < row.length; k++) scores[index * row.length + k]! += row[k] as number
  }
}

function meanLoss(scores: Float64Array, { labels, weights }: LabelledRows, classes: number): number {
  const row = new Float64Array(classes)
  let loss = 0
  let total = 0
  for (let index = 0; index < labels.length; index++) {
    for (let k = 0; k < classes; k++) row[k] = scores[index * classes + k] as number
    softmax(row, 1)
    loss -= (weights[index] as number) * Math.log(Math.max(1e-12, row[labels[index] as number] as number))
    total += weights[index] as number
  }
  return total === 0 ? 0 : loss / total
}

/** All trees in one set of arrays. */
export function assemble(trees: readonly GrownTree[], base: Float32Array): TreeArrays {
  const nodes = trees.reduce((sum, tree) => sum + tree.feature.length, 0)
  const leaves = trees.reduce((sum, tree) => sum + tree.leaves.length, 0)
  const classes = base.length
  const arrays: TreeArrays = {
    base,
    roots: new Int32Array(trees.length),
    feature: new Uint8Array(nodes),
    threshold: new Float32Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    missing: new Int32Array(nodes),
    leaves: new Float32Array(leaves * classes),
    expected: new Float32Array(nodes * classes),
  }
  let node = 0
  let leaf = 0
  for (const [index, tree] of trees.entries()) {
    arrays.roots[index] = tree.feature.length === 0 ? -1 - leaf : node
    append(arrays, tree, node, leaf, classes)
    node += tree.feature.length
    leaf += tree.leaves.length
  }
  return arrays
}

function append(arrays: TreeArrays, tree: GrownTree, nodeShift: number, leafShift: number, classes: number): void {
  const shifted = (child: number): number => (child >= 0 ? child + nodeShift : child - leafShift)
  const nodes = tree.feature.length
  for (const [index, scores] of tree.leaves.entries()) arrays.leaves.set(scores, (leafShift + index) * classes)
  const cover = new Float64Array(nodes)
  for (let index = nodes - 1; index >= 0; index--) {
    const node = nodeShift + index
    const left = tree.left[index] as number
    const right = tree.right[index] as number
    arrays.feature[node] = tree.feature[index] as number
    arrays.threshold[node] = tree.threshold[index] as number
    arrays.left[node] = shifted(left)
    arrays.right[node] = shifted(right)
    arrays.missing[node] = shifted(tree.missingLeft[index] ? left : right)
    // Children come behind their parents, so theirs are known.
    const weight = (child: number): number => (child >= 0 ? cover[child] : tree.cover[-1 - child]) as number
    const expectation = (child: number, k: number): number =>
      (child >= 0
        ? arrays.expected[(nodeShift + child) * classes + k]
        : (tree.leaves[-1 - child] as Float32Array)[k]) as number
    const total = weight(left) + weight(right)
    cover[index] = total
    for (let k = 0; k < classes; k++) {
      const sum = weight(left) * expectation(left, k) + weight(right) * expectation(right, k)
      arrays.expected[node * classes + k] = total === 0 ? 0 : sum / total
    }
  }
}
