/** What kind of statement a command tag tells of; the number is the place of its sum behind `PROFILE_SUM.selects`. */
export const STATEMENT_CLASS = { select: 0, write: 1, copy: 2, ddl: 3, transaction: 4, utility: 5 } as const

const code = (word: string): number => (word.charCodeAt(0) << 16) | (word.charCodeAt(1) << 8) | word.charCodeAt(2)

const { select, write, copy, ddl, transaction, utility } = STATEMENT_CLASS
const CLASSES: ReadonlyMap<number, number> = new Map([
  ...each('SEL FET EXP VAL TAB', select),
  ...each('INS UPD DEL MER', write),
  ...each('BEG STA COM ROL SAV REL PRE', transaction),
  ...each('CRE ALT DRO TRU VAC ANA REI REF CLU GRA REV IMP REA SEC', ddl),
])
const COM = code('COM')
const COP = code('COP')
const PRE = code('PRE')
const SELECT = code('SEL')
/** COMMENT is a definition, COMMIT ends a transaction: the fifth letters. */
const LETTER_E = 0x45
const LETTER_T = 0x54

function each(words: string, kind: number): [number, number][] {
  return words.split(' ').map((word) => [code(word), kind])
}

/**
 * The class of the statement whose command tag begins at `bytes[at]`: what the server says it did, whatever the text was.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COMMANDCOMPLETE
 */
export function statementClass(bytes: Uint8Array, at: number): number {
  const head = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
  if (head === SELECT) return select
  if (head === COP) return copy
  if (head === COM && bytes[at + 4] === LETTER_E) return ddl
  // PREPARE TRANSACTION ends one, PREPARE does not; START REPLICATION has no tag.
  if (head === PRE && bytes[at + 8] !== LETTER_T) return utility
  return CLASSES.get(head) ?? utility
}

/** The number of rows that a command tag in `bytes[at, stop)` ends with, its NUL at `stop − 1`; 0 without one. */
export function rowsOfTag(bytes: Uint8Array, at: number, stop: number): number {
  let rows = 0
  let unit = 1
  for (let index = stop - 2; index > at; index--) {
    const digit = (bytes[index] as number) - 0x30
    if (digit < 0 || digit > 9) break
    rows += digit * unit
    unit *= 10
  }
  return rows
}
