import { lstatSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { DirectSql } from './mixed-load.ts'

/** Takes no byte: every write to it fails with ENOSPC. */
const FULL = '/dev/full'

/**
 * Makes a server that works in `directory` find its disk full, for real and without any privilege: files of it become links to
 * /dev/full.
 */
export class FullDisk {
  readonly #directory: string
  readonly #sql: DirectSql

  /** `sql`: on that server. */
  constructor(directory: string, sql: DirectSql) {
    this.#directory = directory
    this.#sql = sql
  }

  /** Nothing can be added to this empty table, which nobody has used. Returns what makes room again. */
  async fillTable(table: string): Promise<() => void> {
    const [row] = await this.#sql(`SELECT pg_relation_filepath('${table}') AS path`)
    const path = join(this.#directory, String(row?.path))
    renameSync(path, `${path}.kept`)
    symlinkSync(FULL, path)
    return () => renameSync(`${path}.kept`, path)
  }

  /** Nothing can be written to the log any more: the next one who tries makes the server crash (PANIC). Returns what makes room again. */
  async fillLog(): Promise<() => void> {
    const log = join(this.#directory, 'pg_wal')
    const [row] = await this.#sql(
      `SELECT pg_walfile_name(lsn) AS name, pg_walfile_name(lsn + 16 * 1024 * 1024) AS next
        FROM (SELECT pg_current_wal_insert_lsn() AS lsn) AS now`,
    )
    // Files that are kept for later have their names already.
    for (const name of readdirSync(log))
      if (/^[0-9A-F]{24}$/.test(name) && name > String(row?.name)) rmSync(join(log, name))
    const path = join(log, String(row?.next))
    symlinkSync(FULL, path)
    await this.#sql('SELECT pg_switch_wal()')
    return () => {
      if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true) rmSync(path)
    }
  }
}
