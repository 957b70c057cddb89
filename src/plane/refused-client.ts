import type { ClientOutcome } from '../continuity/report.ts'
import type { BufferArena } from '../io/buffer-arena.ts'
import type { NativeBuffer } from '../io/native.ts'
import { TlsSession } from '../io/tls-session.ts'
import { CLIENT, CLIENT_STATE } from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import { isTlsClient } from './adoption-facts.ts'
import { clientIdentity } from './client-identity.ts'
import type { KeptConnection } from './kept-connection.ts'
import { sayLastWords } from './last-words.ts'

/** The plane that cannot go on with a client. */
interface RefusingPlane {
  readonly clients: Region
  readonly clientTlsRecords: Region
  readonly arena: BufferArena
  /** Messages of our own on their way to a socket. */
  readonly outbound: NativeBuffer
}

/**
 * Ends the connection of a client that its plane has left and nobody goes on with, and clears its slot of what somebody would go on
 * from. `canBeTold`: a message may be put behind what it was sent. Returns what became of it, for the report.
 */
export function refuseClient(
  plane: RefusingPlane,
  client: KeptConnection,
  reason: string,
  canBeTold: boolean,
): ClientOutcome {
  const { clients, clientTlsRecords, arena, outbound } = plane
  const { slot } = client.slot
  const who = clientIdentity(clients, slot, client.slot.generation)
  const areKeysLost = client.tls === null && isTlsClient(clients, slot)
  const told = canBeTold && !areKeysLost && sayLastWords(client, outbound)
  client.fd.close()
  new TlsSession(clientTlsRecords, slot, arena).erase()
  const i = slot * (clients.recordBytes >> 2)
  clients.i32[i + CLIENT.state] = CLIENT_STATE.closing
  for (const field of [CLIENT.inboxHandle, CLIENT.inboxBytes, CLIENT.outboxHandle, CLIENT.outboxBytes]) {
    clients.i32[i + field] = 0
  }
  return { kept: false, client: { ...who, reason, told } }
}
