/** A position in PostgreSQL's write-ahead log, in bytes. */
export type Lsn = bigint

const FORM = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i

/** Reads `16/B374D848`. Throws for a text that is none. */
export function parseLsn(text: string): Lsn {
  const parts = FORM.exec(text)
  if (parts === null) throw new Error(`"${text}" is not a position in a write-ahead log`)
  return (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`)
}

/** As PostgreSQL prints it. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase()
}
