/** Token kinds. `punctuation` is one byte, told apart by `char`. */
export const TOKEN = { end: 0, word: 1, quotedName: 2, string: 3, number: 4, parameter: 5, punctuation: 6 } as const

const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)

/** 0x1F, 0o17, 0b11, 1e5, 1_000: no keyword that a call may follow is made of these alone. */
const isNumberLetter = (byte: number): boolean => {
  const letter = byte | 0x20
  return (letter >= 0x61 && letter <= 0x66) || letter === 0x78 || letter === 0x6f || byte === 0x5f
}

/** 1: may start a word, 2: digit, 4: may continue a word. */
const CLASS = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) {
  const letter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a
  const digit = byte >= 0x30 && byte <= 0x39
  if (letter || byte === 0x5f || byte >= 0x80) CLASS[byte] = 1 | 4
  else if (digit) CLASS[byte] = 2 | 4
  else if (byte === 0x24) CLASS[byte] = 4
}

const QUOTE = 0x27
const DOUBLE_QUOTE = 0x22
const DOLLAR = 0x24
const BACKSLASH = 0x5c

/** The hash that `Lexer.hash` has for a lower-case word. */
export function wordHash(word: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < word.length; at++) hash = Math.imul(hash ^ word.charCodeAt(at), 0x01000193)
  return hash
}

/**
 * One pass over SQL text as PostgreSQL's own scanner cuts it (src/backend/parser/scan.l), without allocation: `next`
 * moves on and leaves the token in the fields. It knows strings ('', E'', U&'', B'', X'', N''), dollar quotes, quoted
 * names, nested comments, numbers and $1; it does not know grammar.
 *
 * `ambiguous` becomes true where the meaning depends on standard_conforming_strings, or where a token never ends.
 */
export class Lexer {
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0
  kind = 0
  /** First byte of the token, and the byte after it. */
  start = 0
  stop = 0
  /** Case-insensitive hash of a word. */
  hash = 0
  /** Byte of a punctuation token. */
  char = 0
  ambiguous = false

  /** Starts over at `bytes[start, end)`; a NUL byte ends the text too. */
  open(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.ambiguous = false
  }

  /** Whether the next byte that is neither space nor comment is this one; does not move. */
  follows(byte: number): boolean {
    this.#skip()
    return this.#at < this.#end && this.#bytes[this.#at] === byte
  }

  next(): number {
    this.#skip()
    const bytes = this.#bytes
    this.start = this.#at
    if (this.#at >= this.#end || bytes[this.#at] === 0) {
      this.stop = this.#at
      this.kind = TOKEN.end
      return TOKEN.end
    }
    const byte = bytes[this.#at] as number
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
        while (at < end && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at++
      } else if (at + 1 < end && bytes[at] === 0x2f && bytes[at + 1] === 0x2a) {
        at = this.#comment(at)
      } else break
    }
    this.#at = at
  }

  /** Comments nest. */
  #comment(from: number): number {
    const bytes = this.#bytes
    let depth = 0
    let at = from
    while (at + 1 < this.#end) {
      if (bytes[at] === 0x2f && bytes[at + 1] === 0x2a) {
        depth++
        at += 2
      } else if (bytes[at] === 0x2a && bytes[at + 1] === 0x2f) {
        depth--
        at += 2
        if (depth === 0) return at
      } else at++
    }
    this.ambiguous = true
    return this.#end
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

  #string(escapes: boolean): void {
    const bytes = this.#bytes
    let at = this.#at + 1
    this.kind = TOKEN.string
    while (at < this.#end) {
      const byte = bytes[at] as number
      if (byte === BACKSLASH) {
        if (escapes) at++
        // Whether this quote ends the string depends on standard_conforming_strings.
        else if (at + 1 < this.#end && bytes[at + 1] === QUOTE) this.ambiguous = true
      } else if (byte === QUOTE) {
        if (at + 1 < this.#end && bytes[at + 1] === QUOTE) at++
        else {
          this.#at = at + 1
          return
        }
      }
      at++
    }
    this.#at = this.#end
    this.ambiguous = true
  }

  #quoted(): void {
    const bytes = this.#bytes
    let at = this.#at + 1
    this.kind = TOKEN.quotedName
    while (at < this.#end) {
      if (bytes[at] === DOUBLE_QUOTE) {
        if (at + 1 < this.#end && bytes[at + 1] === DOUBLE_QUOTE) at++
        else {
          this.#at = at + 1
          return
        }
      }
      at++
    }
    this.#at = this.#end
    this.ambiguous = true
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
    const tag = at + 1 - from
    this.kind = TOKEN.string
    for (let close = at + 1; close + tag <= this.#end; close++) {
      if (bytes[close] !== DOLLAR) continue
      let same = 1
      while (same < tag && bytes[close + same] === bytes[from + same]) same++
      if (same === tag) {
        this.#at = close + tag
        return
      }
    }
    this.#at = this.#end
    this.ambiguous = true
  }
}
