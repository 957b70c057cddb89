import type { WireMessage } from './wire-message.ts'

export interface Notification {
  readonly pid: number
  readonly channel: string
  readonly payload: string
}

/** A NotificationResponse. */
export function readNotification(message: WireMessage): Notification {
  const [channel, payload] = message.body.toString('utf8', 4).split('\0')
  return { pid: message.body.readInt32BE(0), channel: channel ?? '', payload: payload ?? '' }
}

/** `channel payload` of all among these messages, in order. */
export function notificationsOf(messages: readonly WireMessage[]): string[] {
  return messages
    .filter((message) => message.type === 'A')
    .map((message) => {
      const { channel, payload } = readNotification(message)
      return `${channel} ${payload}`
    })
}
