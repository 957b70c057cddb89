import { BIN_STRIDE, type FeatureBins, MISSING_BIN } from './feature-bins.ts'

/** How large a tree may grow; `leastGain`: a split that gains less is none. */
export interface TreeShape {
  readonly leaves: number
  /** A leaf has at least this many rows. */
  readonly leastRows: number
  /** L2 penalty on leaf scores. */
  readonly lambda: number
  readonly learningRate: number
  readonly leastGain: number
}

/** Gradients of the loss: rows × classes. */
export interface Gradients {
  readonly first: Float32Array
  readonly second: Float32Array
}

/** A split of one leaf. */
interface Split {
  readonly gain: number
  readonly feature: number
  readonly bin: number
  readonly missingLeft: boolean
}

interface Leaf {
  readonly rows: Int32Array
  readonly histogram: Float64Array
  readonly split: Split | null
  /** Where its number has to be written: a node and a side, or the root. */
  readonly parent: { readonly node: number; readonly side: 'left' | 'right' } | null
}

/** A grown tree: its own nodes and leaves, numbered from 0; children as in `TreeArrays`. */
export interface GrownTree {
  readonly feature: number[]
  readonly threshold: number[]
  readonly left: number[]
  readonly right: number[]
  readonly missingLeft: boolean[]
  /** One array of scores per leaf, and how many rows it has. */
  readonly leaves: readonly Float32Array[]
  readonly cover: readonly number[]
}

/** Grows trees leaf by leaf, the most useful split first, from histograms of gradients over bins. */
export class TreeGrower {
  readonly #bins: Uint8Array
  readonly #borders: FeatureBins['borders']
  readonly #features: number
  readonly #classes: number
  readonly #shape: TreeShape
  readonly #width: number

  /** `bins`: rows × features. */
  constructor(bins: Uint8Array, borders: FeatureBins['borders'], classes: number, shape: TreeShape) {
    this.#bins = bins
    this.#borders = borders
    this.#features = borders.length
    this.#classes = classes
    this.#shape = shape
    this.#width = 2 * classes
  }

  /** `rows`: those to learn from. `allowed`: 1 for features that may be asked. */
  grow(rows: Int32Array, gradients: Gradients, allowed: Uint8Array): GrownTree {
    const tree: GrownTree = { feature: [], threshold: [], left: [], right: [], missingLeft: [], leaves: [], cover: [] }
    const open: Leaf[] = [this.#leaf(rows, this.#histogram(rows, gradients), allowed, null)]
    while (open.length < this.#shape.leaves) {
      const best = bestOf(open)
      if (best < 0) break
      const [leaf] = open.splice(best, 1) as [Leaf]
      open.push(...this.#divide(tree, leaf, gradients, allowed))
    }
    for (const leaf of open) this.#close(tree, leaf)
    return tree
  }

  #leaf(rows: Int32Array, histogram: Float64Array, allowed: Uint8Array, parent: Leaf['parent']): Leaf {
    const split = rows.length < 2 * this.#shape.leastRows ? null : this.#bestSplit(histogram, allowed, rows.length)
    return { rows, histogram, split, parent }
  }

  #divide(tree: GrownTree, leaf: Leaf, gradients: Gradients, allowed: Uint8Array): Leaf[] {
    const { feature, bin, missingLeft } = leaf.split as Split
    const node = tree.feature.length
    tree.feature.push(feature)
    tree.threshold.push((this.#borders[feature] as Float32Array)[bin] as number)
    tree.left.push(0)
    tree.right.push(0)
    tree.missingLeft.push(missingLeft)
    place(tree, leaf.parent, node)
    const [left, right] = this.#partition(leaf.rows, feature, bin, missingLeft)
    const small = left.length < right.length ? left : right
    const ofSmall = this.#histogram(small, gradients)
    // The other half is what is left: half of the work.
    const ofLarge = leaf.histogram
    for (let at = 0; at < ofLarge.length; at++) ofLarge[at] = (ofLarge[at] as number) - (ofSmall[at] as number)
    const [ofLeft, ofRight] = small === left ? [ofSmall, ofLarge] : [ofLarge, ofSmall]
    return [
      this.#leaf(left, ofLeft, allowed, { node, side: 'left' }),
      this.#leaf(right, ofRight, allowed, { node, side: 'right' }),
    ]
  }

  #close(tree: GrownTree, leaf: Leaf): void {
    const classes = this.#classes
    const scores = new Float32Array(classes)
    const [sums] = this.#totals(leaf.histogram)
    for (let k = 0; k < classes; k++) {
      const score = -(sums[k] as number) / ((sums[classes + k] as number) + this.#shape.lambda)
      scores[k] = this.#shape.learningRate * score
    }
    place(tree, leaf.parent, -1 - tree.leaves.length)
    ;(tree.leaves as Float32Array[]).push(scores)
    ;(tree.cover as number[]).push(leaf.rows.length)
  }

  /** Sums over all bins of the first feature, which every row is in. */
  #totals(histogram: Float64Array): [Float64Array] {
    const sums = new Float64Array(this.#width)
    for (let bin = 0; bin < BIN_STRIDE; bin++) {
      for (let k = 0; k < this.#width; k++) sums[k]! += histogram[bin * this.#width + k] as number
    }
    return [sums]
  }

  #histogram(rows: Int32Array, { first, second }: Gradients): Float64Array {
    const features = this.#features
    const width = this.#width
    const classes = this.#classes
    const bins = this.#bins
    const histogram = new Float64Array(features * BIN_STRIDE * width)
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as number
      const of = row * classes
      const from = row * features
      for (let feature = 0; feature < features; feature++) {
        const at = (feature * BIN_STRIDE + (bins[from + feature] as number)) * width
        for (let k = 0; k < classes; k++) {
          histogram[at + k] = (histogram[at + k] as number) + (first[of + k] as number)
          histogram[at + classes + k] = (histogram[at + classes + k] as number) + (second[of + k] as number)
        }
      }
    }
    return histogram
  }

  #partition(rows: Int32Array, feature: number, bin: number, missingLeft: boolean): [Int32Array, Int32Array] {
    const left = new Int32Array(rows.length)
    const right = new Int32Array(rows.length)
    let lefts = 0
    let rights = 0
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as number
      const value = this.#bins[row * this.#features + feature] as number
      if (value === MISSING_BIN ? missingLeft : value <= bin) left[lefts++] = row
      else right[rights++] = row
    }
    return [left.slice(0, lefts), right.slice(0, rights)]
  }

  #bestSplit(histogram: Float64Array, allowed: Uint8Array, rows: number): Split | null {
    const [sums] = this.#totals(histogram)
    const parent = this.#worth(sums)
    let best: Split | null = null
    for (let feature = 0; feature < this.#features; feature++) {
      if (allowed[feature] === 0) continue
      const found = this.#bestOfFeature(histogram, feature, sums, parent, rows)
      if (found !== null && (best === null || found.gain > best.gain)) best = found
    }
    return best !== null && best.gain > this.#shape.leastGain ? best : null
  }

  #bestOfFeature(
    histogram: Float64Array,
    feature: number,
    sums: Float64Array,
    parent: number,
    rows: number,
  ): Split | null {
    const width = this.#width
    const first = feature * BIN_STRIDE * width
    const borders = (this.#borders[feature] as Float32Array).length
    const missing = histogram.subarray(first + MISSING_BIN * width, first + (MISSING_BIN + 1) * width)
    const hasMissing = missing.some((value) => value !== 0)
    const left = new Float64Array(width)
    const right = new Float64Array(width)
    let best: Split | null = null
    for (const missingLeft of hasMissing ? [true, false] : [true]) {
      for (let k = 0; k < width; k++) left[k] = missingLeft ? (missing[k] as number) : 0
      for (let bin = 0; bin < borders; bin++) {
        for (let k = 0; k < width; k++) {
          left[k]! += histogram[first + bin * width + k] as number
          right[k] = (sums[k] as number) - (left[k] as number)
        }
        if (!this.#isWeighty(left, rows) || !this.#isWeighty(right, rows)) continue
        const gain = this.#worth(left) + this.#worth(right) - parent
        if (best === null || gain > best.gain) best = { gain, feature, bin, missingLeft }
      }
    }
    return best
  }

  /** The second derivatives stand for the number of rows: at most one quarter each per class. */
  #isWeighty(sums: Float64Array, rows: number): boolean {
    let weight = 0
    for (let k = this.#classes; k < this.#width; k++) weight += sums[k] as number
    return rows > 0 && weight > 1e-3 * this.#shape.leastRows
  }

  #worth(sums: Float64Array): number {
    let worth = 0
    for (let k = 0; k < this.#classes; k++) {
      const gradient = sums[k] as number
      worth += (gradient * gradient) / ((sums[this.#classes + k] as number) + this.#shape.lambda)
    }
    return worth
  }
}

function bestOf(leaves: readonly Leaf[]): number {
  let best = -1
  let most = 0
  for (const [index, { split }] of leaves.entries()) {
    if (split === null || split.gain <= most) continue
    best = index
    most = split.gain
  }
  return best
}

function place(tree: GrownTree, parent: Leaf['parent'], child: number): void {
  if (parent !== null) tree[parent.side][parent.node] = child
}
