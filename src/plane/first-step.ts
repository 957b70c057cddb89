import { CLIENT, CLIENT_SECTIONS, CLIENT_STATE } from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import { beginSection, recoverSection } from '../memory/slot-section.ts'

/**
 * A client whose plane died in the first step that it had with it. Nothing of that step counts, and nothing has left: this is
 * a login of which nothing was heard yet, and its slot says so from now on. What was read of it comes again.
 */
export function undoFirstStep(clients: Region, { slot, generation }: SlotReference, committed: number): void {
  const i = slot * (clients.recordBytes >> 2)
  const state = clients.i32[i + CLIENT.state]
  const isHeld = (clients.i32[i + CLIENT.generation] as number) >>> 0 === generation
  if (!isHeld || (state !== CLIENT_STATE.login && state !== CLIENT_STATE.closing)) return
  if (committed === 0 || recoverSection(clients, slot, CLIENT_SECTIONS, committed) >= 0) return
  beginSection(clients, slot, CLIENT_SECTIONS, CLIENT_STATE.login, committed)
}
