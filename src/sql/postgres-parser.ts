import { setFlagsFromString } from 'node:v8'

/**
 * Longer texts are not parsed, in bytes. A tree takes some hundred times as much memory as its text, and one that is nested
 * as deeply as its length allows must not exhaust the stack.
 */
export const LONGEST_PARSED = 8192

/** Nodes of a parse tree, as libpg_query writes them in JSON: `{ "SelectStmt": { … } }`. */
export type ParseTree = Readonly<Record<string, unknown>>

/**
 * What became of a text. `refused`: PostgreSQL's grammar does not take it, so no server of that version would run it.
 * `undecided`: nothing can be said, since it is too long, or the parser has broken.
 */
export type Parsed =
  | { readonly kind: 'parsed'; readonly tree: ParseTree }
  | { readonly kind: 'refused' }
  | { readonly kind: 'undecided' }

/**
 * V8's optimizing compiler takes 600 MB for PostgreSQL's grammar, which is one function, and makes it hardly faster. All of
 * these are needed, and before the module is compiled.
 */
const BASELINE_ONLY = ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']

const REFUSED: Parsed = { kind: 'refused' }
const UNDECIDED: Parsed = { kind: 'undecided' }

/**
 * The parser of PostgreSQL 18 (libpg_query, compiled to WebAssembly). Takes strings to be as `standard_conforming_strings = on`
 * has them. One instance of the module per process, whatever the number of objects.
 *
 * When it fails in another way than by refusing a text, its memory is in no known state any more (the stack or the heap of the
 * module was exhausted in the middle of something): from then on it decides nothing.
 */
export class PostgresParser {
  readonly #module: typeof import('libpg-query')
  #brokenBy: string | null = null

  private constructor(module: typeof import('libpg-query')) {
    this.#module = module
  }

  /** Compiles the module, which takes some 30 ms. */
  static async load(): Promise<PostgresParser> {
    for (const flag of BASELINE_ONLY) setFlagsFromString(flag)
    const module = await import('libpg-query')
    await module.loadModule()
    return new PostgresParser(module)
  }

  /** Why nothing is decided any more; null as long as all is well. */
  get brokenBy(): string | null {
    return this.#brokenBy
  }

  /** `text`: one or more statements. */
  parse(text: string): Parsed {
    return this.#run(text, () => this.#module.parseSync(text) as unknown)
  }

  /** `text`: one CREATE FUNCTION or PROCEDURE whose language is PL/pgSQL; the tree is that of its body. */
  parseFunction(text: string): Parsed {
    return this.#run(text, () => this.#module.parsePlPgSQLSync(text) as unknown)
  }

  #run(text: string, parse: () => unknown): Parsed {
    if (this.#brokenBy !== null || text === '' || Buffer.byteLength(text) > LONGEST_PARSED) return UNDECIDED
    try {
      return { kind: 'parsed', tree: parse() as ParseTree }
    } catch (error) {
      // The module says of a function that it is refused by a plain Error; what breaks it is none.
      const isRefusal =
        error instanceof this.#module.SqlError || (error instanceof Error && error.constructor === Error)
      if (isRefusal) return REFUSED
      this.#brokenBy = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
      return UNDECIDED
    }
  }
}
