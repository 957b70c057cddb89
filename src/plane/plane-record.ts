import { PLANE, PLANE_F64 } from '../memory/plane-records.ts'
import type { Region } from '../memory/region.ts'

/** The plane's own record in shared memory: its state, and totals since it started. */
export class PlaneRecord {
  readonly #region: Region
  readonly #i: number
  readonly #f: number

  /** `region`: the records of all planes. */
  constructor(region: Region, planeIndex: number) {
    this.#region = region
    this.#i = planeIndex * (region.recordBytes >> 2)
    this.#f = planeIndex * (region.recordBytes >> 3)
  }

  /** `[0]`: see `PLANE.slotInProgress`; in hot paths a view is cheaper than a call. */
  get slotInProgress(): Int32Array {
    const at = this.#i + PLANE.slotInProgress
    return this.#region.i32.subarray(at, at + 1)
  }

  /** A version, or whether something is the case. */
  note(field: keyof typeof PLANE, value: number): void {
    this.#region.i32[this.#i + PLANE[field]] = value
  }

  get(field: keyof typeof PLANE_F64): number {
    return this.#region.f64[this.#f + PLANE_F64[field]] ?? 0
  }

  set(field: keyof typeof PLANE_F64, value: number): void {
    this.#region.f64[this.#f + PLANE_F64[field]] = value
  }

  add(field: keyof typeof PLANE_F64): void {
    this.set(field, this.get(field) + 1)
  }
}
