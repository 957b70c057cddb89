/**
 * First bytes of protocol messages. `FRONTEND` are sent by clients, `BACKEND` by servers; here the words mean direction.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export const FRONTEND = {
  bind: 0x42, // B
  close: 0x43, // C
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyFail: 0x66, // f
  describe: 0x44, // D
  execute: 0x45, // E
  flush: 0x48, // H
  functionCall: 0x46, // F
  parse: 0x50, // P
  password: 0x70, // p, also GSS, SSPI and SASL answers
  query: 0x51, // Q
  sync: 0x53, // S
  terminate: 0x58, // X
} as const

export const BACKEND = {
  authentication: 0x52, // R
  backendKeyData: 0x4b, // K
  bindComplete: 0x32, // 2
  closeComplete: 0x33, // 3
  commandComplete: 0x43, // C
  copyBothResponse: 0x57, // W
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyInResponse: 0x47, // G
  copyOutResponse: 0x48, // H
  dataRow: 0x44, // D
  emptyQueryResponse: 0x49, // I
  errorResponse: 0x45, // E
  functionCallResponse: 0x56, // V
  negotiateProtocolVersion: 0x76, // v
  noData: 0x6e, // n
  noticeResponse: 0x4e, // N
  notificationResponse: 0x41, // A
  parameterDescription: 0x74, // t
  parameterStatus: 0x53, // S
  parseComplete: 0x31, // 1
  portalSuspended: 0x73, // s
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const

/** What follows AuthenticationRequest's length. */
export const AUTHENTICATION = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const

/** Transaction status in ReadyForQuery. */
export const STATUS = { idle: 0x49, inTransaction: 0x54, failed: 0x45 } as const

/** Type byte and length word of every message but the startup ones. */
export const HEADER_BYTES = 5

/** PostgreSQL refuses messages of 1 GB and more (MaxAllocSize), apart from those that it streams. */
export const MAX_MESSAGE_BYTES = 0x3fffffff

/** The big-endian length word at `at`; it counts itself but not the type byte. */
export function lengthAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

/** Where the text that begins at `start` ends, its NUL; −1 when that is not before `stop`. Names are short: faster than a search. */
export function textEnd(bytes: Uint8Array, start: number, stop: number): number {
  for (let at = start; at < stop; at++) if (bytes[at] === 0) return at
  return -1
}
