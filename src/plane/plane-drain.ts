import { endIfDrained } from '../client/session-end.ts'
import type { Plane } from './plane.ts'

/** From now on new clients are refused, but for those of the console. */
export function refuseClients(plane: Plane): void {
  plane.refusing = true
  plane.record.note('draining', 1)
}

/** Those of the console are refused as well, and clients leave as soon as their transaction is over. */
export function drainPlane(plane: Plane): void {
  refuseClients(plane)
  plane.draining = true
  for (const session of plane.sessions.all) endIfDrained(session)
}
