import { PIN } from '../memory/client-slots.ts'
import { concernsListening, type Effects, FACT } from '../sql/statement-effects.ts'
import type { RequestSession } from './request-session.ts'

/** Whoever has a server connection of its own for life listens there. */
const OWN_SERVER = PIN.sessionMode | PIN.console | PIN.replication

/** A statement with these effects is about to be sent. False: not yet, for it changes what the session listens to. */
export function admitListening(session: RequestSession, effects: Effects): boolean {
  if (!concernsListening(effects)) return true
  const { settings, listening, seat, server } = session
  if ((settings.pins & OWN_SERVER) !== 0) return true
  if (listening === null && (effects.flags & FACT.listens) === 0) return true
  if (session.needListening().admit(effects.channels)) return true
  // While others are awaited nobody has a server connection in vain.
  if (seat.isFresh && server?.queue.length === 0) session.letGo()
  return false
}

/** A statement with these effects is sent and will be executed. */
export function noteEffects({ host, settings, listening, server }: RequestSession, effects: Effects): void {
  if ((effects.flags & FACT.commits) !== 0) listening?.onCommit()
  // Others hear for it: no reason to pin.
  const isHeard = (effects.pins & PIN.listen) !== 0 && listening !== null && (settings.pins & OWN_SERVER) === 0
  let pins = isHeard ? effects.pins & ~PIN.listen : effects.pins
  if (server !== null) {
    const { catalogues, now } = host
    const { calls, flags } = effects
    if ((flags & FACT.defines) !== 0) catalogues.define(server, now)
    // The functions that are called are known to leave nothing behind.
    if (calls !== null && catalogues.areHarmless(calls, server, now)) pins &= ~PIN.unknownFunction
  }
  settings.note(pins === effects.pins ? effects : { ...effects, pins }, server)
}

/** A query with these effects has been sent, before the server can have answered it. */
export function noteSentEffects({ host, settings, listening, server }: RequestSession, effects: Effects): void {
  if (server !== null && (effects.flags & FACT.defines) !== 0) host.catalogues.define(server, host.now)
  settings.note(effects, server, true)
  if (server !== null && concernsListening(effects)) listening?.touch(server)
}

/**
 * `bytes[start, end)`, the whole text, null: it is too long, is sent and will be executed: what it uses may call functions that
 * leave something behind. To be called when `catalogues.isWatching`.
 */
export function noteUnseen(
  { host, settings, server }: RequestSession,
  bytes: Uint8Array | null,
  start: number,
  end: number,
): void {
  if (server === null || (settings.pins & PIN.unknownFunction) !== 0) return
  if (host.catalogues.mayLeave(server.target, host.now, bytes, start, end)) settings.pin(PIN.unknownFunction)
}
