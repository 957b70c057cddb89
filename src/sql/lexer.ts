import { CLASS, isNumberLetter, isSpace } from './character-class.ts'
import { endOfComment, endOfDollarString, endOfLine, endOfQuotedName, endOfString } from './span-ends.ts'

/** Token kinds. `punctuation` is one byte, told apart by `char`. */
export const TOKEN = { end: 0, word: 1, quotedName: 2, string: 3, number: 4, parameter: 5, punctuation: 6 } as const

const QUOTE = 0x27
const DOUBLE_QUOTE = 0x22
const DOLLAR = 0x24
/** What a piece of a text ended in the middle of. */
const REST = {
  none: 0,
  lineComment: 1,
  comment: 2,
  string: 3,
  escapeString: 4,
  quotedName: 5,
  dollarString: 6,
} as const
/** A dollar quote whose tag is longer is not followed from one piece to the next. */
const LONGEST_TAG = 64

/**
 * One pass over SQL text as PostgreSQL's own scanner cuts it (src/backend/parser/scan.l), without allocation: `next`
 * moves on and leaves the token in the fields. It knows strings ('', E'', U&'', B'', X'', N''), dollar quotes, quoted
 * names, nested comments, numbers and $1; it does not know grammar.
 *
 * `ambiguous` becomes true where the meaning depends on standard_conforming_strings, or where a token never ends.
 *
 * A text may come in pieces (`begin`, then `goOn` with each): strings and comments may then be of any length; any other
 * token begins before `limit` only if the piece shows it and what follows it.
 */
export class Lexer {
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0
  #isLast = true
  #rest: number = REST.none
  #resumeAt = 0
  #tag: Uint8Array = new Uint8Array(0)
  /** Tokens that begin here or later are for the next piece. */
  limit = 0
  kind = 0
  /** First byte of the token, and the byte after it. */
  start = 0
  stop = 0
  /** Case-insensitive hash of a word. */
  hash = 0
  /** How many comments begin within each other. */
  depth = 0
  /** Byte of a punctuation token. */
  char = 0
  ambiguous = false

  /** Starts over at `bytes[start, end)`; a NUL byte ends the text too. */
  open(bytes: Uint8Array, start: number, end: number): void {
    this.begin()
    this.goOn(bytes, start, end, end)
  }

  /** A text in pieces follows. */
  begin(): void {
    this.#rest = REST.none
    this.ambiguous = false
  }

  /**
   * The next piece is `bytes[start, end)`. `limit` is `end` in the last one; in the others it is below, by as much as a
   * token other than a string may be long, with what has to be seen after it.
   */
  goOn(bytes: Uint8Array, start: number, end: number, limit: number): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#isLast = limit === end
    this.limit = limit
    this.kind = TOKEN.string
    if (this.#rest !== REST.none) this.#finishRest()
  }

  /** The token is for the next piece, or there is none. */
  get paused(): boolean {
    return this.kind === TOKEN.end || this.start >= this.limit
  }

  /** The piece has ended, and not with a token for the next one. */
  get isCut(): boolean {
    return this.kind === TOKEN.end && this.start >= this.#end && !this.#isLast
  }

  /** The text has ended before the piece, at a NUL byte. */
  get isOver(): boolean {
    return this.kind === TOKEN.end && this.start < this.#end
  }

  /** When paused, the piece being used up. What is from here on has to be at the start of the next piece again. */
  pause(): number {
    if (this.kind !== TOKEN.end) {
      // Even if it is cut: nobody has used it yet.
      this.#rest = REST.none
      return this.start
    }
    return this.#rest === REST.none ? this.#end : this.#resumeAt
  }

  /** Whether the next byte that is neither space nor comment is this one; does not move. */
  follows(byte: number): boolean {
    this.#skip()
    if (!this.#isLast && this.#at + 1 >= this.#end) this.ambiguous = true
    return this.#at < this.#end && this.#bytes[this.#at] === byte
  }

  next(): number {
    const from = this.#at
    this.#skip()
    this.start = this.#at
    const byte = this.#at < this.#end ? (this.#bytes[this.#at] as number) : 0
    if (byte === 0) {
      // The token before may go on in the next piece; a string says so itself.
      const isOpen = from >= this.#end && this.kind !== TOKEN.string && this.#rest === REST.none
      if (isOpen && !this.#isLast) this.ambiguous = true
      this.stop = this.#at
      this.kind = TOKEN.end
      return TOKEN.end
    }
    const kind = CLASS[byte] as number
    if ((kind & 1) !== 0) this.#word(byte)
    else if (kind & 2) this.#number()
    else if (byte === QUOTE) this.#string(false)
    else if (byte === DOUBLE_QUOTE) this.#quoted()
    else if (byte === DOLLAR) this.#dollar()
    else {
      this.#at++
      this.char = byte
      this.kind = TOKEN.punctuation
    }
    this.stop = this.#at
    return this.kind
  }

  #skip(): void {
    const bytes = this.#bytes
    const end = this.#end
    let at = this.#at
    for (;;) {
      while (at < end && isSpace(bytes[at] as number)) at++
      if (at + 1 < end && bytes[at] === 0x2d && bytes[at + 1] === 0x2d) {
        at = endOfLine(bytes, at, end)
        if (at === end && !this.#isLast) this.#cut(at, REST.lineComment)
      } else if (at + 1 < end && bytes[at] === 0x2f && bytes[at + 1] === 0x2a) {
        at = this.#comment(at, 0)
      } else break
    }
    this.#at = at
  }

  #comment(from: number, outer: number): number {
    this.depth = outer
    const after = endOfComment(this.#bytes, from, this.#end, this)
    if (after < 0) this.#cut(~after, REST.comment)
    return after < 0 ? this.#end : after
  }

  /** The piece ends within something that goes on at `at`, or never ends. */
  #cut(at: number, rest: number): void {
    this.#at = this.#end
    if (this.#isLast) this.ambiguous = true
    else {
      this.#rest = rest
      this.#resumeAt = at
    }
  }

  #finishRest(): void {
    const rest = this.#rest
    this.#rest = REST.none
    if (rest === REST.lineComment) {
      this.#at = endOfLine(this.#bytes, this.#at, this.#end)
      if (this.#at === this.#end && !this.#isLast) this.#cut(this.#at, rest)
    } else if (rest === REST.comment) this.#at = this.#comment(this.#at, this.depth)
    else if (rest === REST.quotedName) this.#inQuotedName(this.#at)
    else if (rest === REST.dollarString) this.#inDollarString(this.#at, this.#tag, 0, this.#tag.length)
    else this.#inString(this.#at, rest === REST.escapeString)
  }

  #word(first: number): void {
    const bytes = this.#bytes
    const end = this.#end
    let at = this.#at
    let hash = 0x811c9dc5
    while (at < end) {
      const byte = bytes[at] as number
      if ((CLASS[byte] as number) === 0) break
      const upper = byte >= 0x41 && byte <= 0x5a
      hash = Math.imul(hash ^ (upper ? byte | 0x20 : byte), 0x01000193)
      at++
    }
    const length = at - this.#at
    if (at < end && bytes[at] === QUOTE && length === 1) {
      const letter = first | 0x20
      if (letter === 0x65 || letter === 0x62 || letter === 0x78 || letter === 0x6e) {
        this.#at = at
        this.#string(letter === 0x65)
        return
      }
    }
    if (length === 1 && (first | 0x20) === 0x75 && at + 1 < end && bytes[at] === 0x26) {
      // U&'…' and U&"…"
      if (bytes[at + 1] === QUOTE) {
        this.#at = at + 1
        this.#string(false)
        return
      }
      if (bytes[at + 1] === DOUBLE_QUOTE) {
        this.#at = at + 1
        this.#quoted()
        this.ambiguous = true
        return
      }
    }
    this.#at = at
    this.hash = hash
    this.kind = TOKEN.word
  }

  /** With what is glued to it, which is a token of its own before PostgreSQL 15 and an error since. */
  #number(): void {
    const bytes = this.#bytes
    let at = this.#at
    for (; at < this.#end; at++) {
      const byte = bytes[at] as number
      const kind = CLASS[byte] as number
      if ((kind & 1) !== 0) {
        if (!isNumberLetter(byte)) this.ambiguous = true
      } else if ((kind & 2) === 0 && byte !== 0x2e) break
    }
    this.#at = at
    this.kind = TOKEN.number
  }

  /** The end of what is looked at together with the byte after it. */
  #lastSeen(): number {
    return this.#isLast ? this.#end : this.#end - 1
  }

  #string(escapes: boolean): void {
    this.kind = TOKEN.string
    this.#inString(this.#at + 1, escapes)
  }

  #inString(from: number, escapes: boolean): void {
    const after = endOfString(this.#bytes, from, this.#lastSeen(), this.#end, escapes, this)
    this.#finish(after, escapes ? REST.escapeString : REST.string)
  }

  #quoted(): void {
    this.kind = TOKEN.quotedName
    this.#inQuotedName(this.#at + 1)
  }

  #inQuotedName(from: number): void {
    this.#finish(endOfQuotedName(this.#bytes, from, this.#lastSeen(), this.#end), REST.quotedName)
  }

  /** `after` is the byte after the token, or `~` of where it goes on in the next piece. */
  #finish(after: number, rest: number): void {
    if (after < 0) this.#cut(~after, rest)
    else this.#at = after
  }

  /** $1, or $tag$ … $tag$. */
  #dollar(): void {
    const bytes = this.#bytes
    const from = this.#at
    let at = from + 1
    if (at < this.#end && ((CLASS[bytes[at] as number] as number) & 2) !== 0) {
      while (at < this.#end && ((CLASS[bytes[at] as number] as number) & 2) !== 0) at++
      this.#at = at
      this.kind = TOKEN.parameter
      return
    }
    while (at < this.#end && bytes[at] !== DOLLAR && (CLASS[bytes[at] as number] as number) !== 0) at++
    if (at >= this.#end || bytes[at] !== DOLLAR) {
      this.#at = from + 1
      this.char = DOLLAR
      this.kind = TOKEN.punctuation
      return
    }
    this.kind = TOKEN.string
    this.#inDollarString(at + 1, bytes, from, at + 1 - from)
  }

  #inDollarString(from: number, tags: Uint8Array, start: number, tag: number): void {
    const after = endOfDollarString(this.#bytes, from, this.#end, tags, start, tag)
    const isTooLong = tag > LONGEST_TAG
    if (isTooLong) this.ambiguous = true
    if (after < 0 && !this.#isLast) this.#tag = tags.slice(start, start + tag)
    this.#finish(after < 0 && isTooLong ? ~this.#end : after, REST.dollarString)
  }
}
