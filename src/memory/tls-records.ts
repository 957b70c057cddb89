/**
 * What it takes to go on with a TLS connection without the process that made it: one record for each client slot and,
 * behind them, one for each server slot. These are keys: the pages are locked and left out of core dumps.
 */
export const TLS_RECORD_BYTES = 320

/** i32 indexes within a record. */
export const TLS = {
  /** As on the wire, 0x304; 0: nothing here, or the records are OpenSSL's. */
  version: 0,
  suite: 1,
  /** The first part of a record whose rest has not come: where in the plane's arena, as of an outbox. */
  heldHandle: 2,
  heldStart: 3,
  heldBytes: 4,
  /** TLS_CLOSED bits. */
  closed: 5,
} as const

/** Who has said that it sends no more (close_notify). */
export const TLS_CLOSED = { byPeer: 1, byUs: 2 } as const

/** f64 indexes within a record. */
export const TLS_F64 = {
  /** Records opened and sealed, and the keys they were opened and sealed with: see `io/tls-session`. */
  received: 8,
  sent: 9,
  /** What has been written to the socket when all that was sealed is: the total of the stream, handshake included. */
  sealedBytes: 10,
} as const

/** Byte offsets within a record. Of either direction there are two secrets, this key's and the one before or after it. */
export const TLS_SECRETS = { capacity: 48, received: 96, sent: 192, explicitNonce: 288 } as const
