import type { KeptClient, KeptServer } from '../continuity/adoptable.ts'
import { CLIENT, CLIENT_FLAG, CLIENT_SECTION, CLIENT_STATE_NAMES, CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import { SERVER_STATE_NAMES, SERVER_STEP } from '../memory/server-slots.ts'
import { SECTION } from '../memory/slot-section.ts'
import type { KeptConnection } from './kept-connection.ts'

/** What `adoptable` wants to know of a client. `server`: the server connection that it had, whether that `isKept` or not. */
export function clientFacts(
  clients: Region,
  client: KeptConnection,
  server: KeptConnection | undefined,
  isKept: boolean,
): KeptClient {
  const { slot } = client.slot
  const hasSection = client.section >= 0
  const word = (field: number): number => (hasSection ? client.word(field) : 0)
  const live = CLIENT_STATE_NAMES[clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.state] ?? 0] ?? 'free'
  return {
    state: hasSection ? (CLIENT_STATE_NAMES[word(SECTION.state)] ?? 'free') : live === 'login' ? live : null,
    keysAreLost: client.tls === null && isTlsClient(clients, slot),
    torn: (word(SECTION.flags) & (CLIENT_STEP.torn | CLIENT_STEP.replaying)) === CLIENT_STEP.torn,
    unsaved: (word(SECTION.flags) & CLIENT_STEP.unsaved) !== 0,
    isDedicated: (word(CLIENT_SECTION.pins) & (PIN.console | PIN.replication)) !== 0,
    hadServer: word(SECTION.peer) !== 0,
    hasServer: isKept && server?.word(SECTION.peer) === slot + 1,
    bodyRemaining: hasSection && word(SECTION.peer) !== 0 ? bodyFor(server) : 0,
    position: client.position,
  }
}

/** What `whyNotAdoptable` wants to know of a server connection. `isTls`: it speaks TLS. */
export function serverFacts(server: KeptConnection, isTls: boolean): KeptServer {
  return {
    state: server.section < 0 ? null : (SERVER_STATE_NAMES[server.word(SECTION.state)] ?? null),
    keysAreLost: server.tls === null && isTls,
    torn: server.section >= 0 && (server.word(SECTION.flags) & SERVER_STEP.torn) !== 0,
    position: server.position,
  }
}

/** Whether the client of this slot speaks TLS. */
export function isTlsClient(clients: Region, slot: number): boolean {
  return ((clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.flags] ?? 0) & CLIENT_FLAG.tls) !== 0
}

/** Bytes still to come of a message whose first part the client has; 1 where nobody knows. */
function bodyFor(server: KeptConnection | undefined): number {
  if (server === undefined) return 1
  return (server.word(SECTION.flags) & SERVER_STEP.bodyIsForClient) === 0 ? 0 : server.word(SECTION.body)
}
