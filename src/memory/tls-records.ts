/**
 * What it takes to go on with a TLS connection without the process that made it: one record for each client slot and one
 * for each server slot. These are keys: the pages are locked and left out of core dumps.
 *
 * What changes with every record that is opened or sealed is there three times: live, and in two copies of which one is of
 * the last step that was committed, as sections of slots are (see `slot-section`).
 */
export const TLS_RECORD_BYTES = 448

/** i32 indexes within a record. */
export const TLS = {
  /** As on the wire, 0x304; 0: nothing here, or the records are OpenSSL's. */
  version: 0,
  suite: 1,
} as const

/** Byte offsets within a record. */
export const TLS_OFFSET = { explicitNonce: 8, live: 32, copies: [168, 304] } as const

/** Of what changes: all in bytes from where it begins. */
export const TLS_PART = {
  /** f64: the step that a copy is of; 0: it is none. */
  stamp: 0,
  /** f64: the number of the next record that is opened and sealed. */
  received: 8,
  sent: 16,
  /** i32: TLS_CLOSED bits. */
  closed: 24,
  /** i32: bytes that came and are not opened: where in the plane's arena, as of an outbox. */
  heldHandle: 28,
  heldStart: 32,
  heldBytes: 36,
  /** Secrets of either direction. */
  receivedSecret: 40,
  sentSecret: 88,
  bytes: 136,
} as const

export const TLS_SECRET_BYTES = 48

/** Who has said that it sends no more (close_notify). */
export const TLS_CLOSED = { byPeer: 1, byUs: 2 } as const
