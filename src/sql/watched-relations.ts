import type { DatabaseRelations, RelationName } from '../shard/database-functions.ts'
import { Lexer, TOKEN } from './lexer.ts'
import type { SecondOpinion } from './second-opinion.ts'
import { INTENT } from './statement-intent.ts'
import type { NamedRelation, TreeFacts } from './tree-facts.ts'
import { wordHash } from './word-table.ts'

const DOUBLE_QUOTE = 0x22
/** NAMEDATALEN: names of so many bytes are cut by the server. */
const LONG_NAME = 64

/** What a look at the words of a text has told. */
const NOTHING = 0
const DOUBTFUL = 1
const CERTAIN = 2

const hashes = (words: string): readonly number[] => words.split(' ').map(wordHash)

/** With one of these, a text may use what it does not name. */
const HIDING: ReadonlySet<number> = new Set(
  hashes(
    'execute table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema ' +
      'schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema',
  ),
)
/** One of these is in whatever fires event triggers. */
const DEFINING = hashes('create alter drop comment grant revoke security import reindex refresh into')

/** Relations of a database that lead to code which may do anything to a session; see `DatabaseRelations`. */
export class WatchedRelations {
  readonly #relations: DatabaseRelations
  readonly #lexer = new Lexer()
  /** `wordHash` of their names in lower case, and of words to look closer at. */
  readonly #hashes: ReadonlySet<number>
  readonly #byName: ReadonlyMap<string, readonly { readonly schema: string; readonly isRead: boolean }[]>
  /** A name may be written in bytes that depend on the client's encoding. */
  readonly #hasForeign: boolean
  readonly isEmpty: boolean

  constructor(relations: DatabaseRelations) {
    this.#relations = relations
    const { everything, definitions, read, written } = relations
    const all = [...read, ...written]
    this.isEmpty = !everything && !definitions && all.length === 0
    this.#hasForeign = all.some(([, name]) => !isPlain(name))
    this.#hashes = new Set([...all.map(([, name]) => wordHash(lowerCase(name))), ...(definitions ? DEFINING : [])])
    const entries = (names: readonly RelationName[], isRead: boolean) =>
      names.map(([schema, name]) => ({ schema, name, isRead }))
    this.#byName = Map.groupBy([...entries(read, true), ...entries(written, false)], ({ name }) => name)
  }

  /** Whether there is something in `other` that is not here. */
  lacksAnyOf({ everything, definitions, read, written }: DatabaseRelations): boolean {
    if ((everything && !this.#relations.everything) || (definitions && !this.#relations.definitions)) return true
    const lacks = (isRead: boolean, names: readonly RelationName[]): boolean =>
      names.some(
        ([schema, name]) => !this.#byName.get(name)?.some((one) => one.schema === schema && (one.isRead || !isRead)),
      )
    return lacks(true, read) || lacks(false, written)
  }

  /** Whether a text may use one of them: `bytes[start, end)`, a whole one without its NUL. In doubt it does. */
  areIn(bytes: Uint8Array, start: number, end: number, opinion: SecondOpinion | null): boolean {
    if (this.isEmpty) return false
    const found = this.#look(bytes, start, end)
    if (found === CERTAIN) return true
    if (found === NOTHING && !this.#relations.everything) return false
    const tree = opinion?.of(bytes, start, end) ?? null
    return tree === null || this.#areInTree(tree)
  }

  #areInTree({ intent, relations, isPlain, defines }: TreeFacts): boolean {
    if (this.#relations.everything && intent !== INTENT.none) return true
    const isWrite = intent === INTENT.write
    if (this.#relations.definitions && (defines || (isWrite && !isPlain))) return true
    return relations.some((relation) => this.#has(relation, isWrite))
  }

  #has({ schema, name }: NamedRelation, isWrite: boolean): boolean {
    const alike = this.#byName.get(name)
    return alike?.some((one) => (schema === null || schema === one.schema) && (isWrite || one.isRead)) === true
  }

  /** At every word, wherever it stands. */
  #look(bytes: Uint8Array, start: number, end: number): number {
    const lexer = this.#lexer
    lexer.open(bytes, start, end)
    let found = NOTHING
    for (let kind = lexer.next(); kind !== TOKEN.end; kind = lexer.next()) {
      if (kind !== TOKEN.word && kind !== TOKEN.quotedName) continue
      if (kind === TOKEN.word && HIDING.has(lexer.hash)) return CERTAIN
      if (this.#hasForeign && isForeign(bytes, lexer.start, lexer.stop)) return CERTAIN
      const isNamed =
        kind === TOKEN.word ? this.#hashes.has(lexer.hash) : this.#isQuoted(bytes, lexer.start, lexer.stop)
      if (isNamed || lexer.stop - lexer.start >= LONG_NAME) found = DOUBTFUL
    }
    return lexer.ambiguous ? CERTAIN : found
  }

  /** Whether the quoted name may be one of them; case does not count here. */
  #isQuoted(bytes: Uint8Array, start: number, stop: number): boolean {
    let hash = wordHash('')
    for (let at = start + 1; at < stop - 1; at++) {
      const byte = bytes[at] as number
      // A name with a quote in it.
      if (byte === DOUBLE_QUOTE) return true
      hash = Math.imul(hash ^ (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte), 0x01000193)
    }
    return this.#hashes.has(hash)
  }
}

/** What to believe of a database in which something has just been defined: any relation may lead anywhere. */
export function mayUseRelations(
  lexer: Lexer,
  bytes: Uint8Array,
  start: number,
  end: number,
  opinion: SecondOpinion | null,
): boolean {
  lexer.open(bytes, start, end)
  while (lexer.next() !== TOKEN.end) if (lexer.kind === TOKEN.word && HIDING.has(lexer.hash)) return true
  const tree = lexer.ambiguous ? null : (opinion?.of(bytes, start, end) ?? null)
  return tree === null || (tree.runs && tree.relations.length > 0)
}

const isPlain = (name: string): boolean => /^[\0-\x7f]*$/.test(name)

const lowerCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

function isForeign(bytes: Uint8Array, start: number, stop: number): boolean {
  for (let at = start; at < stop; at++) if ((bytes[at] as number) >= 0x80) return true
  return false
}
