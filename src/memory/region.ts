/** Typed views over one region of the shared memory, all starting at the region's first byte. */
export class Region {
  readonly i32: Int32Array
  readonly f64: Float64Array
  readonly f32: Float32Array
  readonly bytes: Buffer
  readonly recordBytes: number
  readonly count: number

  constructor(memory: ArrayBuffer, byteOffset: number, recordBytes: number, count: number) {
    const length = recordBytes * count
    this.i32 = new Int32Array(memory, byteOffset, length >> 2)
    this.f64 = new Float64Array(memory, byteOffset, length >> 3)
    this.f32 = new Float32Array(memory, byteOffset, length >> 2)
    this.bytes = Buffer.from(memory, byteOffset, length)
    this.recordBytes = recordBytes
    this.count = count
  }

  /** A short text stored as one length byte and at most `capacity - 1` bytes of UTF-8. */
  readText(record: number, offset: number): string {
    const at = record * this.recordBytes + offset
    return this.bytes.toString('utf8', at + 1, at + 1 + (this.bytes[at] ?? 0))
  }

  /** Cuts what does not fit: these texts are for people and for lookup keys that are bounded before. */
  writeText(record: number, offset: number, capacity: number, text: string): void {
    const at = record * this.recordBytes + offset
    this.bytes[at] = this.bytes.write(text, at + 1, capacity - 1, 'utf8')
  }

  clear(record: number): void {
    this.bytes.fill(0, record * this.recordBytes, (record + 1) * this.recordBytes)
  }
}
