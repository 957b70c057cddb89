import type { Region } from '../memory/region.ts'
import { nextSection, SECTION } from '../memory/slot-section.ts'
import type { ByteStream } from './byte-stream.ts'
import type { LinkFields } from './link-host.ts'

/**
 * Writes what a link knows into the section that its slot writes next: totals of its socket, `heldBytes` of a batch included, and the
 * buffers of its inbox and outbox. Returns the section's first i32, for the others to complete it; its stamp comes last.
 */
export function saveTotals(
  region: Region,
  slot: number,
  fields: LinkFields,
  stream: ByteStream,
  heldBytes: number,
): number {
  const { i32, f64 } = region
  const i = slot * (region.recordBytes >> 2)
  const at = nextSection(region, slot, fields.sections)
  const waiting = i32[i + fields.outboxBytes] as number
  f64[(at + SECTION.read) >> 1] = stream.bytesRead
  f64[(at + SECTION.written) >> 1] = stream.bytesWritten + heldBytes + waiting
  i32[at + SECTION.inboxHandle] = i32[i + fields.inboxHandle] as number
  i32[at + SECTION.inboxBytes] = i32[i + fields.inboxBytes] as number
  i32[at + SECTION.outboxHandle] = i32[i + fields.outboxHandle] as number
  i32[at + SECTION.outboxStart] = i32[i + fields.outboxStart] as number
  i32[at + SECTION.outboxBytes] = waiting
  return at
}
