/** NAMEDATALEN − 1: longer names are cut by the server, with a notice. */
const NAME_BYTES = 63

/**
 * The name that the server makes of an identifier as it stands in SQL, quoted or not, in UTF-8: folded to lower case (ASCII
 * letters only, as PostgreSQL does it in multi-byte encodings) and cut to 63 bytes at the end of a character.
 * src/backend/parser/scansup.c
 */
export function serverIdentifier(text: string): string {
  const name = text.startsWith('"')
    ? text.slice(1, -1).replaceAll('""', '"')
    : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  if (name.length * 3 <= NAME_BYTES) return name
  const bytes = Buffer.from(name)
  if (bytes.length <= NAME_BYTES) return name
  let end = NAME_BYTES
  while (((bytes[end] as number) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** The identifier in SQL that means exactly this name. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
