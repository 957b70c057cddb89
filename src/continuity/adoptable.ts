import type { ClientState } from '../memory/client-slots.ts'
import type { ServerState } from '../memory/server-slots.ts'

/** How far a connection had come, by what was committed of it and by what the kernel says. */
export interface StreamPosition {
  /** Bytes that were taken from the kernel and are not dealt with; null: nobody knows. */
  readonly unread: number | null
  /** Of these, how many are still in memory. */
  readonly unreadKept: number
  /** Bytes that were written and that the kernel has not got; null: nobody knows. */
  readonly unsent: number | null
  readonly unsentKept: number
}

/** What is known of a connection, client's or server's, whose plane is dead. */
export interface KeptConnection {
  /** It speaks TLS, and nobody knows how. */
  readonly keysAreLost: boolean
  /** It was written down in the middle of something, or not in full. */
  readonly torn: boolean
  readonly position: StreamPosition
}

export interface KeptClient extends KeptConnection {
  /** The state that was committed last; null: none was, or it is over. */
  readonly state: ClientState | null
  /** There was no room to write all of it down. */
  readonly unsaved: boolean
  /** It has a server connection that nobody else can have: the console, a walsender. */
  readonly isDedicated: boolean
  /** It had a server connection. */
  readonly hadServer: boolean
  /** And has it still. */
  readonly hasServer: boolean
  /** Bytes of a server's message still to come, of which it has the first part. */
  readonly bodyRemaining: number
}

export interface KeptServer extends KeptConnection {
  readonly state: ServerState | null
}

export type AdoptionVerdict =
  | { readonly adopted: true }
  | {
      readonly adopted: false
      /** For the log. */
      readonly reason: string
      /** It can be told: what we send is the next message that it reads, and it expects one of a server's. */
      readonly canBeTold: boolean
    }

const ADOPTED: AdoptionVerdict = { adopted: true }
const TORN = 'it was in the middle of what cannot be written down'

/** Whether a plane can go on with a client that its predecessor served, and if it cannot, whether it may tell it why. */
export function adoptable(client: KeptClient): AdoptionVerdict {
  const refused = (reason: string, canBeTold: boolean): AdoptionVerdict => ({ adopted: false, reason, canBeTold })
  switch (client.state) {
    case null:
    case 'free':
    case 'closing':
      return refused('it was leaving', false)
    case 'login':
      return client.torn || doubtOf(client) !== null ? refused('its login was not over', false) : ADOPTED
    case 'idle':
    case 'waiting':
    case 'active': {
      const doubt = doubtOf(client)
      if (doubt !== null) return refused(doubt, false)
      if (client.torn) return refused(TORN, false)
      const reason = tieOf(client)
      return reason === null ? ADOPTED : refused(reason, client.bodyRemaining === 0)
    }
  }
}

function tieOf(client: KeptClient): string | null {
  if (client.unsaved) return 'there was no room to write down what it was'
  if (client.isDedicated) return 'its server connection was its own for life'
  if (client.hadServer && !client.hasServer) return 'its server connection is lost'
  return null
}

/** The reason why a server connection cannot be gone on with; null: it can. */
export function whyNotAdoptable(server: KeptServer): string | null {
  switch (server.state) {
    case 'idle':
    case 'active':
    case 'tested':
    case 'resetting':
    case 'unlistening':
    case 'listening':
      return doubtOf(server) ?? (server.torn ? TORN : null)
    default:
      return 'it was not in use'
  }
}

/** What makes it impossible to know which byte comes next. */
function doubtOf({ keysAreLost, position }: KeptConnection): string | null {
  const { unread, unreadKept, unsent, unsentKept } = position
  if (keysAreLost) return 'the keys of its TLS session are lost'
  if (unread === null || unsent === null) return 'nobody knows how far it had come'
  if (unread < 0 || unread > unreadKept) return 'what it sent last is lost'
  if (unsent < 0 || unsent > unsentKept) return 'what was on its way to it is lost'
  return null
}
