/** One thing a tar archive holds. Paths are relative, use `/`, and never leave the directory they are unpacked in. */
export type TarEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly size: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }

/** Who receives an archive. `entry` of a file is followed by `data` until `size` bytes were given, then by `fileEnd`. */
export interface TarSink {
  entry(entry: TarEntry): void
  /** Bytes of the current file, valid during the call only. */
  data(bytes: Buffer): void
  fileEnd(): void
}

const blockSize = 512

/**
 * - header: gathering the 512 bytes of the next entry's header. A zero block goes to `closing`.
 * - body: passing a file's bytes on; `#remaining` are missing.
 * - padding: skipping to the next block; `#remaining` are missing.
 * - closing: one zero block was seen, a second one must follow.
 * - closed: the archive is complete; only zero bytes may follow.
 */
type TarState = 'header' | 'body' | 'padding' | 'closing' | 'closed'

/**
 * Reads a ustar stream that arrives in pieces of any size, in memory that does not grow with the archive. Knows what
 * PostgreSQL sends: files, directories, symbolic links, and base-256 sizes for files of 8 GiB and more.
 * Format: https://www.gnu.org/software/tar/manual/html_node/Standard.html
 *
 * Everything wrong with the archive is thrown as an Error with a sentence; the reader is of no use afterwards.
 */
export class TarReader {
  readonly #sink: TarSink
  readonly #header = Buffer.alloc(blockSize)
  #headerLength = 0
  #state: TarState = 'header'
  #remaining = 0
  #padding = 0

  constructor(sink: TarSink) {
    this.#sink = sink
  }

  /** Takes the next piece of the archive; calls the sink for all that became complete. */
  push(chunk: Buffer): void {
    let offset = 0
    while (offset < chunk.length) offset += this.#take(chunk, offset)
  }

  /** To be called when no more bytes come. Throws when the archive is cut short. */
  end(): void {
    if (this.#state !== 'closed') throw new Error('The tar archive ends before it is complete.')
  }

  #take(chunk: Buffer, offset: number): number {
    if (this.#state === 'body') return this.#takeBody(chunk, offset)
    if (this.#state === 'padding') {
      const length = Math.min(this.#remaining, chunk.length - offset)
      this.#remaining -= length
      if (this.#remaining === 0) this.#state = 'header'
      return length
    }
    const length = Math.min(blockSize - this.#headerLength, chunk.length - offset)
    chunk.copy(this.#header, this.#headerLength, offset, offset + length)
    this.#headerLength += length
    if (this.#headerLength === blockSize) {
      this.#headerLength = 0
      this.#takeBlock()
    }
    return length
  }

  #takeBody(chunk: Buffer, offset: number): number {
    const length = Math.min(this.#remaining, chunk.length - offset)
    this.#sink.data(chunk.subarray(offset, offset + length))
    this.#remaining -= length
    if (this.#remaining === 0) this.#endFile()
    return length
  }

  #takeBlock(): void {
    const empty = this.#header.every((byte) => byte === 0)
    if (this.#state === 'closed' || this.#state === 'closing') {
      if (!empty) throw new Error('The tar archive goes on after its end mark.')
      this.#state = 'closed'
    } else if (empty) {
      this.#state = 'closing'
    } else {
      this.#takeEntry()
    }
  }

  #takeEntry(): void {
    const header = this.#header
    checkSum(header)
    const path = entryPath(header)
    const type = String.fromCharCode(header[156]!)
    if (type === '5') {
      this.#sink.entry({ kind: 'directory', path })
    } else if (type === '1' || type === '2') {
      this.#sink.entry({ kind: 'link', path, target: textField(header, 157, 100) })
    } else if (type === '0' || type === '\0') {
      const size = sizeField(header)
      this.#sink.entry({ kind: 'file', path, size })
      this.#padding = (blockSize - (size % blockSize)) % blockSize
      this.#remaining = size
      if (size === 0) this.#endFile()
      else this.#state = 'body'
    } else {
      throw new Error(`The tar archive holds an entry of the unknown type ${JSON.stringify(type)}: ${path}.`)
    }
  }

  #endFile(): void {
    this.#sink.fileEnd()
    this.#remaining = this.#padding
    this.#state = this.#padding === 0 ? 'header' : 'padding'
  }
}

function textField(header: Buffer, offset: number, length: number): string {
  const field = header.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? length : end)
}

function octalField(header: Buffer, offset: number, length: number, what: string): number {
  const text = textField(header, offset, length).trim()
  if (!/^[0-7]+$/.test(text)) throw new Error(`The tar archive has a header with an unreadable ${what}.`)
  return Number.parseInt(text, 8)
}

/** Octal text, or, with the highest bit set, a big-endian number in all 12 bytes. */
function sizeField(header: Buffer): number {
  if ((header[124]! & 0x80) === 0) return octalField(header, 124, 12, 'size')
  const wide = header.subarray(124, 136)
  if (wide[0] !== 0x80 || wide.subarray(1, 4).some((byte) => byte !== 0)) {
    throw new Error('The tar archive has a file larger than any file system can hold.')
  }
  const size = Number(wide.readBigUInt64BE(4))
  if (!Number.isSafeInteger(size)) throw new Error('The tar archive has a file larger than any file system can hold.')
  return size
}

function checkSum(header: Buffer): void {
  const expected = octalField(header, 148, 8, 'checksum')
  let sum = 8 * 0x20
  for (let i = 0; i < blockSize; i++) if (i < 148 || i >= 156) sum += header[i]!
  if (sum !== expected) throw new Error('The tar archive is damaged: the checksum of a header does not match.')
}

/** The entry's path without `.` parts and without a closing `/`; empty for the top directory itself. */
function entryPath(header: Buffer): string {
  const isUstar = header.toString('latin1', 257, 262) === 'ustar'
  const prefix = isUstar ? textField(header, 345, 155) : ''
  const name = textField(header, 0, 100)
  const path = prefix === '' ? name : `${prefix}/${name}`
  const parts = path.split('/')
  if (path === '' || path.startsWith('/') || parts.includes('..')) {
    throw new Error(`The tar archive holds a path that leaves the directory: ${JSON.stringify(path)}.`)
  }
  return parts.filter((part) => part !== '' && part !== '.').join('/')
}
