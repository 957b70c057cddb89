const QUOTE = 0x27
const DOUBLE_QUOTE = 0x22
const DOLLAR = 0x24
const BACKSLASH = 0x5c

/** The first byte of `[from, end)` that ends a line; `end` when there is none. */
export function endOfLine(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at++
  return at
}

/**
 * The byte after the end of a comment, from within `told.depth` of them: they nest. `~` of the first byte of `[from, end)` not
 * looked at when it does not end there; `told.depth` is then how many are still open.
 */
export function endOfComment(bytes: Uint8Array, from: number, end: number, told: { depth: number }): number {
  let at = from
  while (at + 1 < end) {
    if (bytes[at] === 0x2f && bytes[at + 1] === 0x2a) {
      told.depth++
      at += 2
    } else if (bytes[at] === 0x2a && bytes[at + 1] === 0x2f) {
      told.depth--
      at += 2
      if (told.depth === 0) return at
    } else at++
  }
  return ~at
}

/**
 * The byte after the quote that ends a quoted name, from within it. Each byte of `[from, stop)` is looked at with the one
 * after it, which is before `end`. When there is no such quote, `~` of the first byte not looked at.
 */
export function endOfQuotedName(bytes: Uint8Array, from: number, stop: number, end: number): number {
  let at = from
  for (; at < stop; at++) {
    if (bytes[at] !== DOUBLE_QUOTE) continue
    if (at + 1 >= end || bytes[at + 1] !== DOUBLE_QUOTE) return at + 1
    at++
  }
  return ~at
}

/**
 * The byte after the next `tags[tagStart, tagStart + tag)`, or `~` of the first byte of `[from, end)` that may belong to
 * one which is not all there.
 */
export function endOfDollarString(
  bytes: Uint8Array,
  from: number,
  end: number,
  tags: Uint8Array,
  tagStart: number,
  tag: number,
): number {
  let close = from
  for (; close + tag <= end; close++) {
    if (bytes[close] !== DOLLAR) continue
    let same = 1
    while (same < tag && bytes[close + same] === tags[tagStart + same]) same++
    if (same === tag) return close + tag
  }
  return ~close
}

/**
 * The same as `endOfQuotedName` for a string, with backslash escapes or without. Without, a backslash before a quote makes
 * it ambiguous: whether the quote ends the string depends on standard_conforming_strings.
 */
export function endOfString(
  bytes: Uint8Array,
  from: number,
  stop: number,
  end: number,
  escapes: boolean,
  told: { ambiguous: boolean },
): number {
  let at = from
  for (; at < stop; at++) {
    const byte = bytes[at] as number
    if (byte === BACKSLASH) {
      if (escapes) at++
      else if (at + 1 < end && bytes[at + 1] === QUOTE) told.ambiguous = true
    } else if (byte === QUOTE) {
      if (at + 1 >= end || bytes[at + 1] !== QUOTE) return at + 1
      at++
    }
  }
  return ~at
}
