import type { NativeBuffer } from './native.ts'

const PAGE_BYTES = 4096
/** Buffer sizes in pages: 4, 16, 64 and 256 KiB, 1 and 4 MiB. */
const CLASS_PAGES = [1, 4, 16, 64, 256, 1024] as const
/**
 * Free bytes of a class that keep their pages; the pages of the others go back to the kernel. Giving one back and getting
 * it again costs more than a query, so whoever merely waits for a server must not cause it.
 */
const WARM_BYTES = 4 * 1024 * 1024

/**
 * Buffers for bytes that wait, in shared memory, so that they outlive the process. A handle is the page number, 0 is
 * none. Which pages are taken is a table in the same memory (one byte a page: class + 1 on a buffer's first page); a
 * successor calls `rebuild` with the handles that it goes on using.
 */
export class BufferArena {
  readonly memory: NativeBuffer
  readonly #discard: (offset: number, bytes: number) => void
  readonly #tablePages: number
  readonly #pages: number
  readonly #free: number[][] = CLASS_PAGES.map(() => [])
  readonly #retired: number[] = []
  #next: number
  #inUse = 0
  #bytesInUse = 0

  /** `discard` gives whole pages of the arena back to the kernel. */
  constructor(memory: NativeBuffer, discard: (offset: number, bytes: number) => void) {
    this.memory = memory
    this.#discard = discard
    this.#pages = Math.floor(memory.size / PAGE_BYTES)
    this.#tablePages = Math.ceil(this.#pages / PAGE_BYTES)
    this.#next = this.#tablePages
  }

  get buffersInUse(): number {
    return this.#inUse
  }

  get bytesInUse(): number {
    return this.#bytesInUse
  }

  /** A buffer of at least `bytes`, or 0 when the arena has none: the caller gives up its connection, nobody else's. */
  allocate(bytes: number): number {
    const kind = CLASS_PAGES.findIndex((pages) => pages * PAGE_BYTES >= bytes)
    if (kind < 0) return 0
    const pages = CLASS_PAGES[kind] ?? 0
    let handle = this.#free[kind]?.pop()
    if (handle === undefined) {
      if (this.#next + pages > this.#pages) return 0
      handle = this.#next
      this.#next += pages
    }
    this.memory.bytes[handle] = kind + 1
    this.#inUse++
    this.#bytesInUse += pages * PAGE_BYTES
    return handle
  }

  /** As `release`, but its bytes stay as they are until `settle`. */
  retire(handle: number): void {
    if (this.capacity(handle) === 0) throw new Error(`buffer ${handle} released twice`)
    this.#inUse--
    this.#bytesInUse -= this.capacity(handle)
    this.#retired.push(handle)
  }

  /** What was retired may be used again. */
  settle(): void {
    const retired = this.#retired
    if (retired.length === 0) return
    for (const handle of retired) this.#recycle(handle)
    retired.length = 0
  }

  release(handle: number): void {
    if (this.capacity(handle) === 0) throw new Error(`buffer ${handle} released twice`)
    this.#inUse--
    this.#bytesInUse -= this.capacity(handle)
    this.#recycle(handle)
  }

  #recycle(handle: number): void {
    const kind = (this.memory.bytes[handle] ?? 0) - 1
    const list = this.#free[kind]
    if (list === undefined) return
    const bytes = (CLASS_PAGES[kind] ?? 0) * PAGE_BYTES
    this.memory.bytes[handle] = 0
    if (list.length * bytes >= WARM_BYTES) this.#discard(handle * PAGE_BYTES, bytes)
    list.push(handle)
  }

  /**
   * Takes over what another process left: the buffers `live` stay as they are, everything else is free, and its pages go
   * back to the kernel. Throws when the table does not know one of them (its `capacity` is 0), or when two overlap.
   */
  rebuild(live: readonly number[]): void {
    const table = this.memory.bytes
    const kept = [...live].sort((a, b) => a - b).map((handle) => ({ handle, pages: this.#pagesOf(handle) }))
    this.#inUse = 0
    this.#bytesInUse = 0
    for (const list of this.#free) list.length = 0
    let at = this.#tablePages
    for (const { handle, pages } of kept) {
      if (pages === 0 || handle < at || handle + pages > this.#pages)
        throw new Error(`buffer ${handle} is not in the table, or lies within another one`)
      table.fill(0, at, handle)
      this.#giveBack(at, handle)
      this.#divide(at, handle)
      table.fill(0, handle + 1, handle + pages)
      at = handle + pages
      this.#inUse++
      this.#bytesInUse += pages * PAGE_BYTES
    }
    table.fill(0, at, this.#pages)
    this.#giveBack(at, this.#pages)
    this.#next = at
  }

  #pagesOf(handle: number): number {
    return this.capacity(handle) / PAGE_BYTES
  }

  #giveBack(from: number, to: number): void {
    if (to > from) this.#discard(from * PAGE_BYTES, (to - from) * PAGE_BYTES)
  }

  /** A gap becomes free buffers, as large as fit. */
  #divide(from: number, to: number): void {
    let at = from
    for (let kind = CLASS_PAGES.length - 1; kind >= 0; kind--) {
      const pages = CLASS_PAGES[kind] ?? 1
      for (; at + pages <= to; at += pages) this.#free[kind]?.push(at)
    }
  }

  /** First byte of a buffer, relative to `memory`. */
  offset(handle: number): number {
    return handle * PAGE_BYTES
  }

  capacity(handle: number): number {
    return (CLASS_PAGES[(this.memory.bytes[handle] ?? 0) - 1] ?? 0) * PAGE_BYTES
  }
}

/** The largest buffer an arena gives. */
export const LARGEST_BUFFER_BYTES = (CLASS_PAGES[CLASS_PAGES.length - 1] ?? 0) * PAGE_BYTES
