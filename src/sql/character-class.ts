export const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)

/** 0x1F, 0o17, 0b11, 1e5, 1_000: no keyword that a call may follow is made of these alone. */
export const isNumberLetter = (byte: number): boolean => {
  const letter = byte | 0x20
  return (letter >= 0x61 && letter <= 0x66) || letter === 0x78 || letter === 0x6f || byte === 0x5f
}

/** 1: may start a word, 2: digit, 4: may continue a word. */
export const CLASS: Uint8Array = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) {
  const letter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a
  const digit = byte >= 0x30 && byte <= 0x39
  if (letter || byte === 0x5f || byte >= 0x80) CLASS[byte] = 1 | 4
  else if (digit) CLASS[byte] = 2 | 4
  else if (byte === 0x24) CLASS[byte] = 4
}
