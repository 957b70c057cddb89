import { type ProfileView, readProfile } from '../analyzer/profile-report.ts'
import type { RouterControl } from './router-control.ts'

/** The profiles of all clients, one at a time. */
export function* profilesOf(control: RouterControl): Generator<ProfileView> {
  const { memory } = control
  const { model } = control.analyzer()
  const now = control.nowMonotonic()
  for (let slot = 0; slot < memory.clients.count; slot++) {
    // A free slot's profile may never have been touched, and looking would take memory.
    if (memory.clients.i32[slot * (memory.clients.recordBytes >> 2)] === 0) continue
    const profile = readProfile(memory, slot, model, now)
    if (profile !== null) yield profile
  }
}
