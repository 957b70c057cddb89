import { HEADER_BYTES } from './message-type.ts'
import { MessageReader } from './reader.ts'

/** What a NotificationResponse says, apart from its payload. */
export interface NotificationHead {
  /** Of the backend that sent it. */
  readonly processId: number
  readonly channel: string
}

/**
 * Reads the NotificationResponse whose body is `bytes[start, end)`. Throws MalformedMessage.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-NOTIFICATIONRESPONSE
 */
export function readNotification(bytes: Buffer, start: number, end: number): NotificationHead {
  const reader = new MessageReader(bytes, start, end)
  const processId = reader.int32()
  const channel = reader.text()
  reader.text()
  return { processId, channel }
}

/** Makes a whole NotificationResponse one of another process. */
export function replaceNotifier(message: Buffer, processId: number): void {
  message.writeInt32BE(processId, HEADER_BYTES)
}

/** Of a whole NotificationResponse. */
export function notifierOf(message: Buffer): number {
  return message.readInt32BE(HEADER_BYTES)
}
