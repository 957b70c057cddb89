import type { Connection, Submittable } from 'pg'
import { LocalClusterError, reasonOf } from './local-cluster-error.ts'
import { connectToServer, type ServerAddress } from './server-client.ts'
import { TarReader, type TarSink } from './tar-reader.ts'

/** Of a copy of a primary's data directory that was made while it ran. */
export interface BaseBackup {
  /** WAL position and timeline where replay of the copy begins. */
  readonly startLsn: string
  readonly timeline: number
  /** WAL position at which the copy is consistent. */
  readonly endLsn: string
}

/**
 * Copies a whole running server (PostgreSQL 15 or newer) with `BASE_BACKUP` of the replication protocol, WAL included,
 * so that the copy can start by itself. Needs a role with REPLICATION; works with remote servers as well. Memory stays
 * bounded: what arrives is given to `sink` before more is read.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-BASE-BACKUP
 *
 * @throws LocalClusterError when the server refuses or goes away, has tablespaces, or `sink` throws
 */
export async function takeBaseBackup(
  source: ServerAddress,
  options: { label: string; sink: TarSink; signal?: AbortSignal | undefined },
): Promise<BaseBackup> {
  try {
    const client = await connectToServer(source, 'replication')
    const query = new BaseBackupQuery(options.label, options.sink)
    const abort = () => query.fail(options.signal?.reason)
    options.signal?.addEventListener('abort', abort)
    try {
      client.query(query)
      return await query.result
    } finally {
      options.signal?.removeEventListener('abort', abort)
      await client.end()
    }
  } catch (error) {
    options.signal?.throwIfAborted()
    throw new LocalClusterError(`The server at ${source.host}:${source.port} could not be cloned: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

interface RowMessage {
  readonly fields: readonly (string | null)[]
}

interface CopyDataMessage {
  readonly chunk: Buffer
}

/**
 * One BASE_BACKUP command as `pg` runs it. The answer is a result set with the start position, one with the
 * tablespaces, a CopyOut stream whose messages begin with a letter (`n` new archive, `d` its bytes, `p` progress,
 * `m` manifest), and a result set with the end position.
 */
class BaseBackupQuery implements Submittable {
  readonly result: Promise<BaseBackup>
  readonly #command: string
  readonly #tar: TarReader
  readonly #settle: PromiseWithResolvers<BaseBackup>
  #connection: Connection | null = null
  #error: unknown = null
  #resultSets = 0
  #archives = 0
  #start: { lsn: string; timeline: number } | null = null
  #endLsn: string | null = null

  constructor(label: string, sink: TarSink) {
    const quoted = label.replaceAll("'", "''")
    this.#command = `BASE_BACKUP ( LABEL '${quoted}', CHECKPOINT 'fast', WAL true, MANIFEST 'no', TARGET 'client' )`
    this.#tar = new TarReader(sink)
    this.#settle = Promise.withResolvers()
    this.result = this.#settle.promise
  }

  /** Gives up: the connection is cut, since a backup in the middle of its stream cannot be ended otherwise. */
  fail(error: unknown): void {
    this.#error ??= error
    this.#connection?.stream.destroy()
    this.#settle.reject(this.#error)
  }

  submit(connection: Connection): void {
    this.#connection = connection
    if (this.#error !== null) this.fail(this.#error)
    else connection.query(this.#command)
  }

  handleRowDescription(): void {
    this.#resultSets++
  }

  handleDataRow(message: RowMessage): void {
    const [first, second] = message.fields
    if (this.#resultSets === 1) {
      this.#start = { lsn: first ?? '', timeline: Number(second) }
    } else if (this.#resultSets === 2 && first !== null) {
      this.fail(new Error(`it has a tablespace outside of its data directory (${second}), which cannot be cloned.`))
    } else if (this.#resultSets === 3) {
      this.#endLsn = first ?? ''
    }
  }

  handleCopyData(message: CopyDataMessage): void {
    // Destroying the socket does not take back what is parsed already.
    if (this.#error !== null) return
    try {
      const kind = String.fromCharCode(message.chunk[0] ?? 0)
      if (kind === 'd') {
        this.#tar.push(message.chunk.subarray(1))
      } else if (kind === 'n') {
        this.#archives++
        if (this.#archives > 1) throw new Error('it sent more than one archive.')
      }
    } catch (error) {
      this.fail(error)
    }
  }

  handleCommandComplete(): void {}

  handleError(error: unknown): void {
    this.fail(error)
  }

  handleReadyForQuery(): void {
    try {
      this.#tar.end()
      if (this.#start === null || this.#endLsn === null) throw new Error('its answer lacks a WAL position.')
      this.#settle.resolve({ startLsn: this.#start.lsn, timeline: this.#start.timeline, endLsn: this.#endLsn })
    } catch (error) {
      this.fail(error)
    }
  }
}
