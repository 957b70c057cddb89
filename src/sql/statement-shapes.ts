/** As many shapes are remembered at once, each in a place of its own. */
const PLACES = 512
/** Longer texts are not remembered. */
const MOST_BYTES = 1024
/** Stands for a run of digits in a shape; no text has it in it. */
const NUMBER = 0
/** By so many beginnings the last shape is remembered. */
const GUESSES = 64

const ZERO = 0x30
const isDigit = (byte: number): boolean => byte >= ZERO && byte < ZERO + 10

/** By byte: a run of digits between two of these is a token by itself, or a part of a string, a comment or a quoted name. */
const IS_APART = new Uint8Array(256)
for (const byte of Buffer.from(" \t\n\r(),;=<>+-*/%[].:'")) IS_APART[byte] = 1

/**
 * Remembers what was found out about texts by their shape: the text, with any digits in place of runs of digits that stand
 * apart. Two texts of one shape have the same tokens but for the values of numbers, and for digits in strings, comments and
 * quoted names. So only what depends on none of these may be remembered of a text.
 *
 * It is no hash that decides: a shape is compared byte for byte. A text whose shape comes for the first time is not
 * remembered yet: many never come again. Finding one costs about a nanosecond or two for each byte, and no allocation.
 */
export class StatementShapes {
  readonly #bytes = new Uint8Array(PLACES * MOST_BYTES)
  readonly #lengths = new Int32Array(PLACES)
  readonly #flags = new Int32Array(PLACES)
  readonly #intents = new Int32Array(PLACES)
  /** By place: the hash of the text that was to be remembered there last. */
  readonly #seen = new Int32Array(PLACES)
  /** Where the last text was found that begins like this one. */
  readonly #guesses = new Int32Array(GUESSES)
  #hash = 0
  /** What was remembered of the text that was found. */
  flags = 0
  intent = 0

  /** Whether the shape of `bytes[start, end)` is known: `flags` and `intent` say what was remembered. */
  find(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start > MOST_BYTES) return false
    const guess = guessOf(bytes, start, end)
    let place = this.#guesses[guess] as number
    if (!this.#isShape(place, bytes, start, end)) {
      this.#hash = shapeHash(bytes, start, end)
      place = this.#hash & (PLACES - 1)
      if (!this.#isShape(place, bytes, start, end)) return false
      this.#guesses[guess] = place
    }
    this.flags = this.#flags[place] as number
    this.intent = this.#intents[place] as number
    return true
  }

  #isShape(place: number, bytes: Uint8Array, start: number, end: number): boolean {
    const shapes = this.#bytes
    let at = place * MOST_BYTES
    const stop = at + (this.#lengths[place] as number)
    let from = start
    for (; at < stop; at++) {
      const expected = shapes[at] as number
      // A text that is used up has no more bytes, and what lies behind it may be anything.
      if (from === end) return false
      if (expected !== NUMBER) {
        if (bytes[from] !== expected) return false
        from++
      } else {
        if (!isDigit(bytes[from] as number)) return false
        do from++
        while (from < end && isDigit(bytes[from] as number))
      }
    }
    return from === end && stop > place * MOST_BYTES
  }

  /** This holds for all texts of the shape that was not found last, which is that of `bytes[start, end)`. */
  remember(bytes: Uint8Array, start: number, end: number, flags: number, intent: number): void {
    if (end - start > MOST_BYTES) return
    const place = this.#hash & (PLACES - 1)
    if (this.#seen[place] !== this.#hash) {
      this.#seen[place] = this.#hash
      return
    }
    this.#lengths[place] = this.#copy(place * MOST_BYTES, bytes, start, end)
    this.#flags[place] = flags
    this.#intents[place] = intent
  }

  /** The shape of `bytes[start, end)` from `first` on; returns its length, 0: it has none. */
  #copy(first: number, bytes: Uint8Array, start: number, end: number): number {
    const shapes = this.#bytes
    let to = first
    for (let at = start; at < end; ) {
      const stop = numberEnd(bytes, at, start, end)
      if (stop > at) {
        shapes[to++] = NUMBER
        at = stop
      } else {
        const byte = bytes[at++] as number
        if (byte === NUMBER) return 0
        shapes[to++] = byte
      }
    }
    return to - first
  }
}

/** Where the run of digits at `at` ends that stands apart; `at` itself when there is none. */
function numberEnd(bytes: Uint8Array, at: number, start: number, end: number): number {
  if (!isDigit(bytes[at] as number) || at === start || IS_APART[bytes[at - 1] as number] === 0) return at
  let stop = at + 1
  while (stop < end && isDigit(bytes[stop] as number)) stop++
  return stop === end || IS_APART[bytes[stop] as number] === 1 ? stop : at
}

/** Mostly the same for texts of one shape, from three of their bytes. */
function guessOf(bytes: Uint8Array, start: number, end: number): number {
  const first = start < end ? (bytes[start] as number) : 0
  const second = start + 15 < end ? letterOf(bytes[start + 15] as number) : 0
  const third = start + 31 < end ? letterOf(bytes[start + 31] as number) : 0
  return (first ^ (second * 5) ^ (third * 11)) & (GUESSES - 1)
}

const letterOf = (byte: number): number => (isDigit(byte) ? 0 : byte)

/** The same for all texts of one shape: of digits only those count that follow a letter. */
function shapeHash(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  let isLeftOut = false
  let before = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    isLeftOut = isDigit(byte) && (isLeftOut || IS_APART[before] === 1)
    if (!isLeftOut) hash = Math.imul(hash ^ byte, 0x01000193)
    before = byte
  }
  return hash ^ (hash >>> 15)
}
