import { resumeTls } from '../io/link-tls.ts'
import { TlsSession } from '../io/tls-session.ts'
import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { FATAL } from './client-host.ts'
import type { ClientSession } from './client-session.ts'
import { CommitDoubt } from './commit-doubt.ts'
import { resumeReplay } from './kept-replay.ts'
import type { LoginRecord, SessionRecord } from './session-record.ts'
import { countIn } from './session-start.ts'

/**
 * Goes on with a session that was served by another process, where `record` says that it was. `server`: the server connection
 * that it had there, null: none. The session, which is new, may be closed by then.
 */
export function restoreSession(session: ClientSession, record: SessionRecord, server: ServerConnection | null): void {
  const { user, database, credential, flags } = record
  const { host, settings } = session
  session.user = user
  session.database = database
  session.spills = record.spills
  settings.values.resume(record.initial, record.parameters)
  session.enter(server === null ? 'idle' : 'active')
  const entry = host.database(database)
  if (entry === null) {
    session.close('no such database any more', FATAL('3D000', `database "${database}" does not exist`))
    return
  }
  const userValue = host.accounts.get(user)
  const choice = host.poolChoices.acquire({ database, entry, user, userValue, credential })
  countIn(session, choice)
  session.seat.begin(choice)
  if (server !== null) session.seat.resume(server, flags)
  settings.restore(flags, record.endsAfter, record.pins, record.settings)
  if (server !== null && settings.luggage !== null) session.needRelocation().restore()
  restoreStatements(session, record, server)
  session.requests.restore(record.body, flags, record.refused)
  session.reader.restore(flags)
  resumeEncryption(session)
  if (record.listening !== null) session.needListening().restore(record.listening)
  if (record.doubt !== null) session.doubt = CommitDoubt.resume(session, record.doubt)
  host.analyzer.resumed(session.slot, host.now)
  goOnWaiting(session, server)
  if (record.replay === null || resumeReplay(session, record.replay)) session.resume()
  else closeWithoutRoom(session)
}

/** Goes on with a login that was begun in another process. */
export function restoreLogin(session: ClientSession, { transcript, spills }: LoginRecord): void {
  session.spills = spills
  resumeEncryption(session)
  if (session.reader.unread(transcript.takeHeard())) session.resume()
  else closeWithoutRoom(session)
}

function closeWithoutRoom(session: ClientSession): void {
  session.close('out of buffers', FATAL('53200', 'out of memory for buffers of waiting clients'))
}

function resumeEncryption({ host, memory, link, slot }: ClientSession): void {
  if (memory.isTls) resumeTls(host.deferred, link, new TlsSession(host.clientTlsRecords, slot, host.arena), 'server')
}

function restoreStatements(
  { settings, requests }: ClientSession,
  { statements, unnamed, changes, deallocating, flags }: SessionRecord,
  server: ServerConnection | null,
): void {
  const isLong = (flags & (CLIENT_STEP.longUnnamed | CLIENT_STEP.foreignName)) !== 0
  if (statements.length === 0 && unnamed === null && changes.length === 0 && deallocating === null && !isLong) return
  const relay = requests.needStatements()
  const { book } = relay
  for (const [name, statement] of statements) {
    book.restore(name, statement)
    // Its text is gone with the process that is gone.
    if (statement.isLong && server !== null) settings.pin(PIN.longStatement)
  }
  book.restoreRest(flags, unnamed, changes)
  if (deallocating !== null) relay.needInSql().restore(...deallocating)
}

/** The deadline that runs in this state, and the question that waits for its time. */
function goOnWaiting(session: ClientSession, server: ServerConnection | null): void {
  const { deadlines } = session
  if (server === null) deadlines.rest()
  else if (server.queue.owing) deadlines.querying()
  else if (server.inTransaction) deadlines.inTransaction()
  else {
    deadlines.idle()
    if (server.queue.length === 0) session.needReview().rest()
  }
}
