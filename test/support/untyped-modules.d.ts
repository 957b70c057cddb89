// The parts of two drivers' add-ons that the tests use; the packages bring no types of their own.

declare module 'pg-cursor' {
  import type { Submittable } from 'pg'

  /** Reads a result in portions. */
  class Cursor implements Submittable {
    constructor(text: string, values?: unknown[])
    submit(connection: unknown): void
    read(maxRows: number): Promise<Record<string, unknown>[]>
    close(): Promise<void>
  }

  // biome-ignore lint/style/noDefaultExport: it is what the package exports.
  export { Cursor as default }
}

declare module 'pg-copy-streams' {
  import type { Readable, Writable } from 'node:stream'
  import type { Submittable } from 'pg'

  /** COPY … FROM STDIN as a stream to write to. */
  export function from(sql: string): Writable & Submittable
  /** COPY … TO STDOUT as a stream to read from. */
  export function to(sql: string): Readable & Submittable
}
