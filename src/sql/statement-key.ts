import { Lexer, TOKEN } from './lexer.ts'

const CONSTANT = 0x01
const BLANK = 0x20
const COMMA = 0x2c
const OPENING = 0x28
const CLOSING = 0x29

/**
 * What statements have in common that differ in nothing but constants, blanks, comments and the case of words: the text with
 * those taken out. Lists of constants, however long, are one constant (`IN (1, 2, 3)`, `VALUES (1, 2), (3, 4)`). It is no hash:
 * two texts with the same key have the same parse tree, but for constants.
 */
export class StatementKey {
  readonly #lexer: Lexer = new Lexer()
  #out: Buffer = Buffer.allocUnsafe(1024)
  #length = 0

  /** The key of `bytes[start, end)`, a text that the lexer understands (`Lexer.ambiguous` is false). */
  of(bytes: Uint8Array, start: number, end: number): string {
    const lexer = this.#lexer
    // A token may get a blank before it.
    if (this.#out.length < 2 * (end - start)) this.#out = Buffer.allocUnsafe(2 * (end - start))
    this.#length = 0
    lexer.open(bytes, start, end)
    let last = start
    for (let kind = lexer.next(); kind !== TOKEN.end; kind = lexer.next()) {
      const isApart = lexer.start > last
      last = lexer.stop
      if (kind === TOKEN.string || kind === TOKEN.number || kind === TOKEN.parameter) this.#constant()
      else this.#copy(bytes, lexer.start, lexer.stop, kind === TOKEN.word, isApart)
    }
    return this.#out.toString('latin1', 0, this.#length)
  }

  #copy(bytes: Uint8Array, start: number, stop: number, isWord: boolean, isApart: boolean): void {
    const out = this.#out
    // Between two words, or the two halves of what would be one operator.
    if (isApart && !isBracket(bytes[start] as number) && !isBracket(out[this.#length - 1] ?? COMMA)) {
      out[this.#length++] = BLANK
    }
    for (let at = start; at < stop; at++) {
      const byte = bytes[at] as number
      out[this.#length++] = isWord && byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
    }
    if (this.#endsWith(OPENING, CONSTANT, CLOSING, COMMA, OPENING, CONSTANT, CLOSING)) this.#length -= 4
  }

  #constant(): void {
    this.#out[this.#length++] = CONSTANT
    if (this.#endsWith(CONSTANT, COMMA, CONSTANT)) this.#length -= 2
  }

  /** These are the last bytes. */
  #endsWith(...tail: readonly number[]): boolean {
    const out = this.#out
    let at = this.#length
    for (let index = tail.length - 1; index >= 0; index--) {
      at--
      if (out[at] !== tail[index]) return false
    }
    return at >= 0
  }
}

/** A token by itself, whatever stands beside it. */
function isBracket(byte: number): boolean {
  return byte === COMMA || byte === OPENING || byte === CLOSING
}
