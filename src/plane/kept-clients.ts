import { resumeClient, resumeLogin } from '../client/session-arrival.ts'
import type { LoginRecord, SessionRecord } from '../client/session-record.ts'
import { avoidSerial } from '../client/session-serial.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { PollTarget } from '../io/poller.ts'
import { CLIENT } from '../memory/client-slots.ts'
import type { NewClient } from '../memory/keeper-protocol.ts'
import { slotMark } from '../memory/slot-mark.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { placeOf } from './client-place.ts'
import type { Plane } from './plane.ts'
import type { RestingClient, RestingClientsHost } from './resting-clients.ts'

/** The session of a client that another process has left goes on. `server`: the server connection that it had there. */
export function adoptSession(
  plane: Plane,
  client: NewClient,
  fd: OwnedFd,
  record: SessionRecord,
  server: ServerConnection | null,
): void {
  plane.progress[0] = slotMark(plane.clients, client.slot)
  plane.sessions.add(resumeClient(plane, client, fd, record, server))
}

/** The login of a client that another process has left goes on. */
export function adoptLogin(plane: Plane, client: NewClient, fd: OwnedFd, login: LoginRecord): void {
  plane.progress[0] = slotMark(plane.clients, client.slot)
  plane.sessions.add(resumeLogin(plane, client, fd, login))
}

/** Their sessions begin when they want something. */
export function adoptResting(plane: Plane, clients: readonly RestingClient[]): void {
  const { i32, recordBytes } = plane.clients
  for (const { slot } of clients) avoidSerial(i32[slot * (recordBytes >> 2) + CLIENT.serial] ?? 0)
  plane.resting.add(clients)
}

/** What the plane is for those. */
export function restingHost(plane: Plane): RestingClientsHost {
  return {
    get now() {
      return plane.now
    },
    poller: plane.poller,
    timers: plane.timers,
    begin: (client) => begin(plane, client),
    countLogin: (client, delta) => plane.sessions.countLogin(client, delta),
    noneLeft: () => plane.recorded.finished(),
  }
}

function begin(plane: Plane, client: RestingClient): PollTarget | null {
  const record = readSession(plane, client)
  if (record === null) {
    plane.abandonClient(client)
    return null
  }
  plane.steps.next()
  adoptSession(plane, placeOf(plane.clients, client), client.fd, record, null)
  return plane.sessions.find(client.slot, client.generation)?.link ?? null
}

/** Null: it cannot be read, which is in the log. */
function readSession(plane: Plane, { slot, section }: RestingClient): SessionRecord | null {
  let reason = 'it is not whole'
  try {
    const record = plane.recorded.read(slot, section)
    if (record !== null) return record
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error)
  }
  plane.log('error', 'a session cannot be read', { client: slot, reason })
  return null
}
