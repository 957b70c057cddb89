/** The hash that `Lexer.hash` has for a lower-case word. */
export function wordHash(word: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < word.length; at++) hash = Math.imul(hash ^ word.charCodeAt(at), 0x01000193)
  return hash
}

/** Words that mean something, found by hash and checked byte for byte; lookups allocate nothing. */
export class WordTable {
  readonly #mask: number
  readonly #hashes: Int32Array
  readonly #meanings: Int32Array
  readonly #words: (Buffer | undefined)[]

  /** Words in lower case; a meaning is any number but 0. Of a word given twice the last meaning counts. */
  constructor(words: Iterable<readonly [word: string, meaning: number]>) {
    const all = new Map(words)
    let size = 16
    while (size < all.size * 3) size *= 2
    this.#mask = size - 1
    this.#hashes = new Int32Array(size)
    this.#meanings = new Int32Array(size)
    this.#words = new Array<Buffer | undefined>(size)
    for (const [word, meaning] of all) {
      const hash = wordHash(word)
      let at = hash & this.#mask
      while (this.#meanings[at] !== 0) at = (at + 1) & this.#mask
      this.#hashes[at] = hash
      this.#meanings[at] = meaning
      this.#words[at] = Buffer.from(word)
    }
  }

  /** The meaning of the word at `bytes[start, stop)` in any case, whose `wordHash` is `hash`; 0 for none. */
  find(bytes: Uint8Array, start: number, stop: number, hash: number): number {
    let at = hash & this.#mask
    for (;;) {
      const meaning = this.#meanings[at] as number
      if (meaning === 0) return 0
      if (this.#hashes[at] === hash && sameWord(this.#words[at] as Buffer, bytes, start, stop)) return meaning
      at = (at + 1) & this.#mask
    }
  }
}

function sameWord(word: Buffer, bytes: Uint8Array, start: number, stop: number): boolean {
  if (word.length !== stop - start) return false
  for (let at = 0; at < word.length; at++) {
    const byte = bytes[start + at] as number
    if (word[at] !== (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)) return false
  }
  return true
}
