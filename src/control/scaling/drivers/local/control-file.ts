import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lsn } from '../../../../util/lsn.ts'

/** `DBState` of a server that was shut down in good order: as a primary, as a replica. */
const SHUT_DOWN = 1
const SHUT_DOWN_IN_RECOVERY = 2
/** Offsets in `ControlFileData`, the same from PostgreSQL 12 to 18. */
const VERSION_AT = 8
const STATE_AT = 16
const CHECKPOINT_AT = 32
const OLDEST_VERSION = 1201
const NEWEST_VERSION = 1899

/**
 * Where the log of a stopped primary ends: the position of the checkpoint that it wrote last, from `global/pg_control`.
 * Null when it was not shut down in good order, or the file has a form that is not known.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/include/catalog/pg_control.h
 */
export async function shutdownCheckpoint(dataDirectory: string): Promise<Lsn | null> {
  return readShutdownCheckpoint(await readFile(join(dataDirectory, 'global', 'pg_control')))
}

/** The same of the file's bytes, in this machine's byte order (little-endian). */
export function readShutdownCheckpoint(file: Buffer): Lsn | null {
  if (file.length < CHECKPOINT_AT + 8) return null
  const version = file.readUInt32LE(VERSION_AT)
  if (version < OLDEST_VERSION || version > NEWEST_VERSION) return null
  const state = file.readUInt32LE(STATE_AT)
  return state === SHUT_DOWN || state === SHUT_DOWN_IN_RECOVERY ? file.readBigUInt64LE(CHECKPOINT_AT) : null
}
