import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { GrownTree } from './tree-grower.ts'
import type { LabelledRows } from './tree-trainer.ts'

interface Saved {
  readonly digest: string
  readonly trees: readonly (Omit<GrownTree, 'leaves'> & { readonly leaves: readonly (readonly number[])[] })[]
}

/** The trees of a training that may be interrupted, in a file beside the model that it makes. */
export class TrainingCheckpoint {
  readonly #path: string
  #digest = ''

  constructor(path: string) {
    this.#path = path
  }

  /** The trees grown so far from these very rows with this seed; none: there are none, or they are of other rows. */
  load(training: LabelledRows, validation: LabelledRows, seed: number): readonly GrownTree[] {
    this.#digest = digestOf(training, validation, seed)
    let saved: Saved
    try {
      saved = JSON.parse(readFileSync(this.#path, 'utf8')) as Saved
    } catch {
      // Nobody was interrupted, or in the middle of the very first write: there is nothing to save by an error.
      return []
    }
    if (saved.digest !== this.#digest) return []
    return saved.trees.map((tree) => ({ ...tree, leaves: tree.leaves.map((scores) => Float32Array.from(scores)) }))
  }

  /** The file appears whole or not at all. */
  save(trees: readonly GrownTree[]): void {
    const plain = trees.map((tree) => ({ ...tree, leaves: tree.leaves.map((scores) => [...scores]) }))
    mkdirSync(dirname(this.#path), { recursive: true })
    writeFileSync(`${this.#path}.new`, JSON.stringify({ digest: this.#digest, trees: plain } satisfies Saved))
    renameSync(`${this.#path}.new`, this.#path)
  }

  /** The training is over. */
  remove(): void {
    rmSync(this.#path, { force: true })
  }
}

function digestOf(training: LabelledRows, validation: LabelledRows, seed: number): string {
  const hash = createHash('sha256').update(String(seed))
  for (const { values, labels, weights } of [training, validation]) hash.update(values).update(labels).update(weights)
  return hash.digest('hex')
}
