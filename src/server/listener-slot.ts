import type { Region } from '../memory/region.ts'
import { SERVER, SERVER_F64 } from '../memory/server-slots.ts'
import type { Subscriptions } from './subscriptions.ts'

/** The pool record that the server connection of `slot` counts against; −1: none. */
export function poolRecordOf({ i32, recordBytes }: Region, slot: number): number {
  return (i32[slot * (recordBytes >> 2) + SERVER.pool] ?? 0) - 1
}

/** How many channels the server connection of `slot` listens to, and for how many clients. */
export function noteAudience({ i32, recordBytes }: Region, slot: number, subscriptions: Subscriptions): void {
  const i = slot * (recordBytes >> 2)
  i32[i + SERVER.channels] = subscriptions.channels
  i32[i + SERVER.listeners] = subscriptions.subscribers.size
}

/** It has told us something: `notifications`; and a client was told of that: `deliveries`. */
export function countNotification(
  { f64, recordBytes }: Region,
  slot: number,
  field: 'notifications' | 'deliveries',
): void {
  const at = slot * (recordBytes >> 3) + SERVER_F64[field]
  f64[at] = (f64[at] ?? 0) + 1
}
