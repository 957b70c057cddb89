import { AF_INET, AF_UNIX } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { tuneSocket } from '../io/socket.ts'
import type { NewClient } from '../memory/keeper-protocol.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ClientHost } from './client-host.ts'
import { ClientSession } from './client-session.ts'
import { Greeting } from './greeting.ts'
import { LoginTranscript } from './login-transcript.ts'
import type { LoginRecord, SessionRecord } from './session-record.ts'
import { restoreLogin, restoreSession } from './session-restoration.ts'

/*
 * The three ways in which a session comes to be. What they return may be closed already: what goes wrong on the way is told to
 * the client, not to the caller. The session owns `fd` from then on.
 */

/** The session of a client that has just connected: it begins with its login. */
export function greetClient(host: ClientHost, client: NewClient, fd: OwnedFd): ClientSession {
  const session = new ClientSession(host, client, fd, false)
  beginLogin(session, fd, new LoginTranscript())
  return session
}

/** The session of a client that another process served, and that had logged in there. `server`: its server connection there. */
export function resumeClient(
  host: ClientHost,
  client: NewClient,
  fd: OwnedFd,
  record: SessionRecord,
  server: ServerConnection | null,
): ClientSession {
  // Its socket is as it shall be.
  const session = new ClientSession(host, client, fd, true, record.serial)
  restoreSession(session, record, server)
  return session
}

/** The session of a client that had begun to log in to another process. */
export function resumeLogin(host: ClientHost, client: NewClient, fd: OwnedFd, login: LoginRecord): ClientSession {
  const session = new ClientSession(host, client, fd, true)
  beginLogin(session, fd, login.transcript)
  restoreLogin(session, login)
  return session
}

function beginLogin(session: ClientSession, fd: OwnedFd, transcript: LoginTranscript): void {
  tuneSocket(fd, session.memory.isUnix ? AF_UNIX : AF_INET)
  session.enter('login')
  session.greeting = new Greeting(session.host, session, transcript)
  session.deadlines.login()
}
