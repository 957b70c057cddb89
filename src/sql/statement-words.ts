import { PIN } from '../memory/client-slots.ts'
import { BUILTIN_FUNCTIONS } from './builtin-functions.ts'
import { type Lexer, TOKEN } from './lexer.ts'
import { belongsOnPrimary } from './primary-functions.ts'
import { INTENT, type Intent } from './statement-intent.ts'
import { WordTable } from './word-table.ts'

/** A function that leaves at most the pins in its lower bits behind. */
export const FUNCTION = 1 << 28
/** Its call may end the reason of a pin. */
export const FREES = 1 << 27
/** A function that belongs on the primary. */
export const WRITES = 1 << 26
/** May stand before a parenthesis without calling anything. */
export const KEYWORD = 1
/** The name after it is a table's, alias' or the like: a parenthesis then holds columns. */
export const NAMES = 2
/** The same, in CREATE, ALTER, DROP and COMMENT only. */
export const NAMES_IN_DDL = 3
/** A keyword before a parenthesis in DDL only. */
export const KEYWORD_IN_DDL = 4
/** A keyword everywhere, and in DDL one with a name after it. */
export const KEYWORD_NAMES_IN_DDL = 5
/** As NAMES_IN_DDL, and what is created, changed or dropped is a function, or may call some unseen. */
export const NAMES_DEFINED_IN_DDL = 7
/** A keyword, or a function of one's own that has its name: only grammar tells. */
export const KEYWORD_OR_CALL = 6
/** Words that begin statements or change their meaning. */
const FIRST_WORD = 100
export const W = {
  begin: FIRST_WORD,
  start: FIRST_WORD + 1,
  commit: FIRST_WORD + 2,
  rollback: FIRST_WORD + 3,
  set: FIRST_WORD + 4,
  reset: FIRST_WORD + 5,
  prepare: FIRST_WORD + 6,
  deallocate: FIRST_WORD + 7,
  discard: FIRST_WORD + 8,
  listen: FIRST_WORD + 9,
  load: FIRST_WORD + 10,
  declare: FIRST_WORD + 11,
  doBlock: FIRST_WORD + 12,
  call: FIRST_WORD + 13,
  ddl: FIRST_WORD + 14,
  temporary: FIRST_WORD + 15,
  hold: FIRST_WORD + 16,
  to: FIRST_WORD + 17,
  all: FIRST_WORD + 18,
  session: FIRST_WORD + 19,
  local: FIRST_WORD + 20,
  transaction: FIRST_WORD + 21,
  constraints: FIRST_WORD + 22,
  time: FIRST_WORD + 23,
  names: FIRST_WORD + 24,
  schema: FIRST_WORD + 25,
  pgTemp: FIRST_WORD + 26,
  pgCatalog: FIRST_WORD + 27,
  truth: FIRST_WORD + 28,
  plans: FIRST_WORD + 29,
  authorization: FIRST_WORD + 30,
  execute: FIRST_WORD + 31,
  characteristics: FIRST_WORD + 32,
  select: FIRST_WORD + 33,
  copy: FIRST_WORD + 37,
  not: FIRST_WORD + 38,
  atomic: FIRST_WORD + 39,
  without: FIRST_WORD + 40,
  operator: FIRST_WORD + 41,
  prepared: FIRST_WORD + 42,
  default: FIRST_WORD + 43,
  xml: FIRST_WORD + 44,
  /** Ends something that may have pinned. */
  ends: FIRST_WORD + 45,
  drop: FIRST_WORD + 46,
  sequences: FIRST_WORD + 47,
  unlisten: FIRST_WORD + 60,
  by: FIRST_WORD + 61,
  join: FIRST_WORD + 62,
  conflict: FIRST_WORD + 63,
  recursive: FIRST_WORD + 64,
  /** In DDL: functions come or go with it, or something may come to call them unseen. */
  defined: FIRST_WORD + 65,
  values: FIRST_WORD + 66,
  show: FIRST_WORD + 67,
  savepoint: FIRST_WORD + 68,
  /** A view through which settings can be made. */
  pgSettings: FIRST_WORD + 75,
  // From here on, words of which a statement that only reads has none.
  insert: FIRST_WORD + 69,
  update: FIRST_WORD + 70,
  merge: FIRST_WORD + 71,
  delete: FIRST_WORD + 72,
  into: FIRST_WORD + 73,
  /** FOR UPDATE and FOR SHARE, but also substring(x FOR 2). */
  locking: FIRST_WORD + 74,
} as const

const QUOTED_TEMP_SCHEMA = Buffer.from('"pg_temp"')
const QUOTED_SETTINGS = Buffer.from('"pg_settings"')

const keywords = (text: string, meaning: number): [string, number][] => text.split(' ').map((word) => [word, meaning])

/**
 * Every word that means something in a statement. A keyword that may also be a function's name is one here only where
 * it cannot be mistaken: https://www.postgresql.org/docs/current/sql-keywords-appendix.html
 */
const WORDS: WordTable = new WordTable([
  ...BUILTIN_FUNCTIONS.map((name): [string, number] => [name, belongsOnPrimary(name) ? FUNCTION | WRITES : FUNCTION]),
  ...keywords(
    'from where and or in between any some case when then else group having limit offset ' +
      'fetch returning union except intersect distinct row array variadic symmetric asymmetric both leading trailing ' +
      'interval cast coalesce greatest least nullif extract overlay position substring trim treat normalize ' +
      'grouping xmlelement xmlforest xmlattributes xmlconcat xmlparse xmlpi xmlroot xmlserialize xmlexists xmltable ' +
      'json json_object json_array json_value json_query json_exists json_scalar json_serialize json_table ' +
      'numeric decimal dec varchar char character nchar bit timestamp timestamptz timetz float real setof ' +
      'current_time current_timestamp localtime localtimestamp merge_action ' +
      'using lateral analyze',
    KEYWORD,
  ),
  ...keywords('ilike varying rollup cube sets', KEYWORD_OR_CALL),
  ['by', W.by],
  ['join', W.join],
  ['conflict', W.conflict],
  ['recursive', W.recursive],
  ...keywords('on exists', KEYWORD_NAMES_IN_DDL),
  ...keywords('as only with references', NAMES),
  ['into', W.into],
  ['for', W.locking],
  ['values', W.values],
  ['show', W.show],
  ['delete', W.delete],
  ...keywords('savepoint release', W.savepoint),
  ...keywords('table index statistics', NAMES_IN_DDL),
  ...keywords('view trigger type domain', NAMES_DEFINED_IN_DDL),
  ...keywords('function procedure routine aggregate', NAMES_DEFINED_IN_DDL),
  ...keywords(
    'extension language owned import rule policy event rename attach inherit partition including cascade',
    W.defined,
  ),
  ...keywords(
    'key unique check list hash range generated include storage exclude options attribute inherits btree gin gist ' +
      'spgist brin',
    KEYWORD_IN_DDL,
  ),
  ...keywords(
    'pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared',
    FUNCTION | WRITES | PIN.advisoryLock,
  ),
  ...keywords('nextval setval currval lastval', FUNCTION | WRITES | PIN.sequence),
  ['set_config', FUNCTION | WRITES | PIN.setting],
  ['setseed', FUNCTION | WRITES | PIN.randomSeed],
  ...keywords('create alter comment grant revoke', W.ddl),
  ['drop', W.drop],
  ['sequences', W.sequences],
  ...keywords('pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all', FUNCTION | WRITES | FREES),
  ...keywords('commit end', W.commit),
  ...keywords('rollback abort', W.rollback),
  ...keywords('temp temporary', W.temporary),
  ['begin', W.begin],
  ['start', W.start],
  ['set', W.set],
  ['reset', W.reset],
  ['prepare', W.prepare],
  ['deallocate', W.deallocate],
  ['execute', W.execute],
  ['discard', W.discard],
  ['listen', W.listen],
  ['unlisten', W.unlisten],
  ['load', W.load],
  ['declare', W.declare],
  ['do', W.doBlock],
  ['call', W.call],
  ['hold', W.hold],
  ['to', W.to],
  ['all', W.all],
  ['session', W.session],
  ['local', W.local],
  ['transaction', W.transaction],
  ['constraints', W.constraints],
  ['time', W.time],
  ['names', W.names],
  ['schema', W.schema],
  ['pg_temp', W.pgTemp],
  ['pg_settings', W.pgSettings],
  ['pg_catalog', W.pgCatalog],
  ['true', W.truth],
  ['plans', W.plans],
  ['authorization', W.authorization],
  ['characteristics', W.characteristics],
  ['select', W.select],
  ['insert', W.insert],
  ['update', W.update],
  ['merge', W.merge],
  ['copy', W.copy],
  ['not', W.not],
  ['atomic', W.atomic],
  ['without', W.without],
  ['operator', W.operator],
  ['default', W.default],
  ['xml', W.xml],
  ['prepared', W.prepared],
  ...keywords('close', W.ends),
])

/** A statement that only reads has no word with this meaning. */
export const isWriting = (meaning: number): boolean => meaning >= W.insert && meaning <= W.locking

/** The intent of a statement that begins with this word, as long as nothing else in it writes. */
export function intentOfWord(first: number): Intent {
  switch (first) {
    case NAMES:
    case W.select:
    case W.values:
    case W.show:
    case W.declare:
      return INTENT.read
    case W.begin:
    case W.start:
    case W.commit:
    case W.rollback:
    case W.set:
    case W.reset:
    case W.deallocate:
    case W.discard:
    case W.savepoint:
    case W.ends:
      return INTENT.none
    default:
      return INTENT.write
  }
}

/** What the token means that `lexer`, opened with `bytes`, is at; 0 for nothing in particular. */
export function meaningOf(lexer: Lexer, bytes: Uint8Array): number {
  if (lexer.kind === TOKEN.word) return WORDS.find(bytes, lexer.start, lexer.stop, lexer.hash)
  if (lexer.kind !== TOKEN.quotedName) return 0
  if (isToken(QUOTED_TEMP_SCHEMA, lexer, bytes)) return W.pgTemp
  return isToken(QUOTED_SETTINGS, lexer, bytes) ? W.pgSettings : 0
}

function isToken(token: Buffer, { start, stop }: Lexer, bytes: Uint8Array): boolean {
  return stop - start === token.length && token.every((byte, at) => bytes[start + at] === byte)
}
