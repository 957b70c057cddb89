import { chownSync, closeSync, fchownSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { LocalClusterError } from './local-cluster-error.ts'
import type { ServerAccount } from './server-account.ts'
import type { TarEntry, TarSink } from './tar-reader.ts'

/**
 * Unpacks a base backup below an existing, empty directory; files belong to `account` and nobody else may read them.
 *
 * Writes are synchronous: nothing is read from the network meanwhile, so memory stays bounded without a queue, and
 * for the thousand small files of a fresh cluster it is four times as fast as a round trip to the thread pool each.
 * The owner calls `close` in the end, also after an error.
 */
export class BackupDirectoryWriter implements TarSink {
  readonly #directory: string
  readonly #account: ServerAccount
  #file: number | null = null
  #bytes = 0

  constructor(directory: string, account: ServerAccount) {
    this.#directory = directory
    this.#account = account
  }

  /** Bytes of file content written so far. */
  get bytes(): number {
    return this.#bytes
  }

  entry(entry: TarEntry): void {
    const path = join(this.#directory, entry.path)
    if (entry.kind === 'link') {
      throw new LocalClusterError(
        `The backup holds the link ${entry.path} → ${entry.target}. Only data directories without links can be cloned.`,
      )
    }
    if (entry.kind === 'directory') {
      // `recursive` accepts the top directory and those that an earlier entry implied.
      mkdirSync(path, { recursive: true, mode: 0o700 })
      if (this.#account.switched) chownSync(path, this.#account.uid, this.#account.gid)
      return
    }
    this.#file = openSync(path, 'wx', 0o600)
    if (this.#account.switched) fchownSync(this.#file, this.#account.uid, this.#account.gid)
  }

  data(bytes: Buffer): void {
    if (this.#file === null) throw new Error('backup writer: data outside of a file')
    for (let offset = 0; offset < bytes.length; ) {
      offset += writeSync(this.#file, bytes, offset, bytes.length - offset)
    }
    this.#bytes += bytes.length
  }

  fileEnd(): void {
    this.close()
  }

  close(): void {
    if (this.#file === null) return
    const file = this.#file
    this.#file = null
    closeSync(file)
  }
}
