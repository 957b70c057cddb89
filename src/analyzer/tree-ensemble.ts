/**
 * Gradient-boosted decision trees with a vector of scores, one per class, in each leaf, as flat arrays. All trees in one:
 * inner nodes first, children are node numbers, and a negative child −1 − n is leaf n.
 */
export interface TreeArrays {
  /** Scores before any tree, one per class. */
  readonly base: Float32Array
  /** Where each tree begins: a node number, or a negative leaf for a tree without nodes. */
  readonly roots: Int32Array
  readonly feature: Uint8Array
  /** A value that is at most this goes left. */
  readonly threshold: Float32Array
  readonly left: Int32Array
  readonly right: Int32Array
  /** Where NaN goes: the left or the right child again. */
  readonly missing: Int32Array
  /** Leaves × classes. */
  readonly leaves: Float32Array
  /** Nodes × classes: what is expected of a row that has come there, for explanations. */
  readonly expected: Float32Array
}

/** Evaluates trees that `checkTrees` has found right. */
export class TreeEnsemble {
  readonly arrays: TreeArrays
  readonly classes: number

  constructor(arrays: TreeArrays) {
    this.arrays = arrays
    this.classes = arrays.base.length
  }

  /** Adds the scores of all trees for `vector` up in `scores`. */
  score(vector: Float32Array, scores: Float64Array): void {
    const { base, roots, leaves } = this.arrays
    const { classes } = this
    for (let k = 0; k < classes; k++) scores[k] = base[k] as number
    for (let tree = 0; tree < roots.length; tree++) {
      const leaf = this.#leafOf(roots[tree] as number, vector) * classes
      for (let k = 0; k < classes; k++) scores[k] = (scores[k] as number) + (leaves[leaf + k] as number)
    }
  }

  #leafOf(root: number, vector: Float32Array): number {
    const { feature, threshold, left, right, missing } = this.arrays
    let node = root
    while (node >= 0) {
      const value = vector[feature[node] as number] as number
      const border = threshold[node] as number
      node = (value <= border ? left[node] : value > border ? right[node] : missing[node]) as number
    }
    return -1 - node
  }

  /**
   * What each feature adds to each score, by how the expectation changes on the way down every tree (Saabas): features ×
   * classes. Base, expectations at the roots and contributions add up to the scores.
   */
  contributions(vector: Float32Array, features: number): Float64Array {
    const { feature, threshold, left, right, missing, leaves, expected, roots } = this.arrays
    const { classes } = this
    const sums = new Float64Array(features * classes)
    for (let tree = 0; tree < roots.length; tree++) {
      let node = roots[tree] as number
      while (node >= 0) {
        const f = feature[node] as number
        const value = vector[f] as number
        const border = threshold[node] as number
        const next = (value <= border ? left[node] : value > border ? right[node] : missing[node]) as number
        for (let k = 0; k < classes; k++) {
          const after = next >= 0 ? expected[next * classes + k] : leaves[(-1 - next) * classes + k]
          sums[f * classes + k]! += (after as number) - (expected[node * classes + k] as number)
        }
        node = next
      }
    }
    return sums
  }
}

/** Turns scores into probabilities, in place. `temperature`: above 1, less sure. */
export function softmax(scores: Float64Array, temperature: number): void {
  let most = Number.NEGATIVE_INFINITY
  for (let k = 0; k < scores.length; k++) if ((scores[k] as number) > most) most = scores[k] as number
  let sum = 0
  for (let k = 0; k < scores.length; k++) {
    const power = Math.exp(((scores[k] as number) - most) / temperature)
    scores[k] = power
    sum += power
  }
  for (let k = 0; k < scores.length; k++) scores[k] = (scores[k] as number) / sum
}

/** What is wrong with the arrays of a model file, in words; null: nothing, and every walk through them ends in a leaf. */
export function checkTrees(arrays: TreeArrays, features: number, classes: number): string | null {
  const { base, roots, feature, threshold, left, right, missing, leaves, expected } = arrays
  const nodes = feature.length
  if (base.length !== classes) return `it has ${base.length} classes instead of ${classes}`
  if (leaves.length % classes !== 0) return 'its leaves are incomplete'
  const leafCount = leaves.length / classes
  if ([threshold, left, right, missing].some(({ length }) => length !== nodes)) return 'its nodes are incomplete'
  if (expected.length !== nodes * classes) return 'its expectations are incomplete'
  const isPlace = (child: number, parent: number): boolean =>
    child < 0 ? -1 - child < leafCount : child > parent && child < nodes
  for (let node = 0; node < nodes; node++) {
    if ((feature[node] as number) >= features) return `node ${node} looks at a feature that there is not`
    if (!Number.isFinite(threshold[node])) return `node ${node} has no threshold`
    const [l, r, m] = [left[node] as number, right[node] as number, missing[node] as number]
    // Children behind their parents: no walk goes round in circles.
    if (!isPlace(l, node) || !isPlace(r, node) || (m !== l && m !== r)) return `node ${node} leads nowhere`
  }
  for (const root of roots) if (!isPlace(root, -1)) return 'a tree begins nowhere'
  for (const values of [base, leaves, expected]) {
    if (!values.every(Number.isFinite)) return 'it has scores that are no numbers'
  }
  return null
}
