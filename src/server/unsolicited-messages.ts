import type { NativeBuffer } from '../io/native.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import { writeParameterStatus } from '../protocol/messages.ts'
import { readNotification } from '../protocol/notification.ts'
import { MalformedMessage, MessageReader } from '../protocol/reader.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { fieldsOf } from './reply-messages.ts'
import { SWALLOW } from './reply-queue.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'

/*
 * What a server says without being asked, in the middle of whatever it is asked. The message is `source[at, stop)`.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
 */

const writer = new MessageWriter()
/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const CRASH_SHUTDOWN = '57P02'

/**
 * A session's notification, whatever else is going on; nobody's when a session that listened has just left. False: the
 * connection is closed.
 */
export function takeNotification(
  host: ServerHost,
  server: ServerConnection,
  source: NativeBuffer,
  at: number,
  stop: number,
): boolean {
  const { listener, client } = server
  if (listener === null && client === null) return true
  try {
    const notification = readNotification(source.bytes, at + HEADER_BYTES, stop)
    if (listener !== null) listener.onNotification(notification.channel, source.bytes.subarray(at, stop))
    else if (client?.onNotification(notification) === true) host.toClient.forward(source, at, stop)
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    server.lose('the server sent a malformed NotificationResponse', null)
    return false
  }
  return true
}

/** A ParameterStatus: what the server connection has now, and its session as well. False: the connection is closed. */
export function takeParameter(
  host: ServerHost,
  server: ServerConnection,
  source: NativeBuffer,
  at: number,
  stop: number,
): boolean {
  let name: string
  let value: string
  try {
    const reader = new MessageReader(source.bytes, at + HEADER_BYTES, stop)
    name = reader.text()
    value = reader.text()
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    server.lose('the server sent a malformed ParameterStatus', null)
    return false
  }
  server.parameters = host.parameters.with(server.parameters, name, value)
  if ((server.queue.head & SWALLOW) !== 0 || !server.client) return true
  const shown = server.client.onParameter(name, value)
  // It has been told of this one before.
  if (server.relay.delivery.isEchoing) return true
  if (shown === value) host.toClient.forward(source, at, stop)
  else if (shown !== null) {
    writeParameterStatus(writer.reset(), name, shown)
    host.toClient.insert(writer.bytes)
  }
  return true
}

/** A notice that goes to no client: a WARNING that the server closes the connection, because another backend has crashed. */
export function isFarewell({ relay }: ServerConnection, source: NativeBuffer, at: number, stop: number): boolean {
  const fields = fieldsOf(source, at, stop)
  if (fields?.sqlstate !== CRASH_SHUTDOWN) return false
  relay.answers.lastWords = fields
  return true
}

/** 57P01 to 57P03: the server, or this connection to it, is coming to its end. */
export function isEnd(sqlstate: string | undefined): boolean {
  return sqlstate?.startsWith('57P') === true
}
