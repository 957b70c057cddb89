import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BadModel, type ModelFile, TierModel } from '../../analyzer/tier-model.ts'

/** What ships with Switchyard: trained in the laboratory, without names (docs/analyzer.md). */
export const SHIPPED_MODEL: string = fileURLToPath(new URL('../../../models/default.model', import.meta.url))
/** How many earlier models can be gone back to. */
const KEPT_MODELS = 10

/** The models of one router in its data directory: the one in use, and those before it. */
export class ModelStore {
  readonly #directory: string

  /** `directory`: the router's data directory. */
  constructor(directory: string) {
    this.#directory = join(directory, 'models')
  }

  get currentPath(): string {
    return join(this.#directory, 'current.json')
  }

  /** The model to use, with where it is from: the promoted one, else the one that ships. Null when there is none. */
  current(): { readonly path: string; readonly file: ModelFile } | null {
    for (const path of [this.currentPath, SHIPPED_MODEL]) {
      const file = readModel(path)
      if (file !== null) return { path, file }
    }
    return null
  }

  /** Changes when another model is to be used. */
  stamp(): string {
    const stats = statSync(this.currentPath, { throwIfNoEntry: false })
    return stats === undefined ? '' : `${stats.ino} ${stats.mtimeMs}`
  }

  /** Makes this the current model; what was current can be gone back to. */
  promote(file: ModelFile): void {
    TierModel.open(file)
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    for (let at = KEPT_MODELS - 1; at >= 1; at--) move(this.#earlier(at), this.#earlier(at + 1))
    move(this.currentPath, this.#earlier(1))
    writeModel(this.currentPath, file)
  }

  /** Goes back by one; false when there is nothing to go back to. */
  rollback(): boolean {
    if (statSync(this.#earlier(1), { throwIfNoEntry: false }) === undefined) return false
    renameSync(this.#earlier(1), this.currentPath)
    for (let at = 2; at <= KEPT_MODELS; at++) move(this.#earlier(at), this.#earlier(at - 1))
    return true
  }

  #earlier(at: number): string {
    return join(this.#directory, `earlier-${at}.json`)
  }
}

function move(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, to)
}

/** The file, checked; null when there is none. @throws BadModel */
export function readModel(path: string): ModelFile | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  let file: ModelFile
  try {
    file = JSON.parse(text) as ModelFile
  } catch {
    throw new BadModel(`${path} is not JSON; it was cut or is no model file.`)
  }
  TierModel.open(file)
  return file
}

/** The file appears whole or not at all. */
export function writeModel(path: string, file: ModelFile): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, `${JSON.stringify(file)}\n`)
  renameSync(`${path}.new`, path)
}
