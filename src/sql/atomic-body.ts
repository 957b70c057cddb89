import { TOKEN } from './lexer.ts'
import { W } from './statement-words.ts'

const SEMICOLON = 0x3b
const NONE = 0
const MAY_BEGIN = 1
const AT_STATEMENT = 2
const IN_STATEMENT = 3

/** CREATE FUNCTION … BEGIN ATOMIC …; …; END: its semicolons do not end the statement. */
export class AtomicBody {
  #step = NONE

  /** A statement of DDL follows. */
  begin(): void {
    this.#step = NONE
  }

  get isOpen(): boolean {
    return this.#step >= AT_STATEMENT
  }

  /** The next token is of this kind; `char` is its byte if it is punctuation. */
  follow(kind: number, char: number, meaning: number): void {
    if (this.isOpen) {
      if (kind === TOKEN.punctuation && char === SEMICOLON) this.#step = AT_STATEMENT
      else this.#step = this.#step === AT_STATEMENT && meaning === W.commit ? NONE : IN_STATEMENT
    } else if (this.#step === MAY_BEGIN && meaning === W.atomic) this.#step = AT_STATEMENT
    else this.#step = meaning === W.begin ? MAY_BEGIN : NONE
  }
}
