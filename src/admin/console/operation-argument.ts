import { badArgument } from './arguments.ts'
import type { Token } from './tokens.ts'

/** What stands behind the name of an operation: `shard-1 DRY RUN`, `main TO shard-2`. */
export interface OperationArgument {
  /** Of a shard or a group; '' when there is none, and there need not be one. */
  readonly name: string
  /** Behind TO; null: there is none. */
  readonly to: string | null
  readonly isDryRun: boolean
}

/** Symbols that names may have in them without being quoted. */
const JOINTS = new Set(['-', '.'])

/**
 * Reads the argument of an operation; throws `42601` for what cannot be meant.
 *
 * @param takesTo whether the command knows TO
 * @param isOptional whether the name may be left out
 */
export function operationArgument(
  command: string,
  tokens: readonly Token[],
  takesTo: boolean,
  isOptional = false,
): OperationArgument {
  const reader = new ArgumentReader(tokens)
  const isNameless = isOptional && (tokens.length === 0 || isDryRunOnly(tokens))
  const name = isNameless ? '' : reader.name()
  const to = takesTo && reader.word('to') ? reader.name() : null
  const isDryRun = reader.word('dry') && reader.word('run')
  if (name === null || (to === null && reader.said === 'to') || !reader.isOver || reader.said === 'dry') {
    const form = takesTo ? 'a group, then perhaps TO and a name' : 'the name of a shard'
    throw badArgument(command, `${command} takes ${form}, then perhaps DRY RUN.`)
  }
  return { name, to, isDryRun }
}

function isDryRunOnly(tokens: readonly Token[]): boolean {
  return (
    tokens.length === 2 &&
    tokens.every(({ kind }) => kind === 'word') &&
    tokens.map(({ value }) => value).join() === 'dry,run'
  )
}

class ArgumentReader {
  readonly #tokens: readonly Token[]
  #at = 0
  /** The word that was read last. */
  said = ''

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  get isOver(): boolean {
    return this.#at === this.#tokens.length
  }

  /** Whether this word comes next; it is passed then. */
  word(word: string): boolean {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'word' || token.value !== word) return false
    this.#at++
    this.said = word
    return true
  }

  /** A quoted name, or one of words, numbers and what joins them; null: none comes next. */
  name(): string | null {
    const first = this.#tokens[this.#at]
    if (first === undefined || first.kind === 'symbol') return null
    this.#at++
    this.said = ''
    if (first.kind === 'quoted' || first.kind === 'string') return first.value
    let name = first.value
    for (;;) {
      const [joint, next] = this.#tokens.slice(this.#at, this.#at + 2)
      const isJoint = joint?.kind === 'symbol' && JOINTS.has(joint.value)
      if (!isJoint || (next?.kind !== 'word' && next?.kind !== 'number')) return name
      name += joint.value + next.value
      this.#at += 2
    }
  }
}
