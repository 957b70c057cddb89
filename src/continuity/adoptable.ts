import type { KernelPosition } from '../io/kernel-position.ts'
import type { ClientState } from '../memory/client-slots.ts'

/** What the slots and the kernel say of a client whose plane is dead. */
export interface KeptClient {
  readonly state: ClientState
  readonly tls: boolean
  /** PIN bits. */
  readonly pins: number
  /** Channels that it listens to. */
  readonly channels: number
  /** Bytes for it that the kernel did not take, in a buffer that is still there. */
  readonly outboxBytes: number
  /** Bytes of a server's message still to come, of which it has the first part. */
  readonly bodyRemaining: number
  /** Bytes for it that were leaving, from a buffer that is not there any more. */
  readonly heldBytes: number
  /** As the dead plane counted them, `heldBytes` not included. */
  readonly bytesRead: number
  readonly bytesWritten: number
  /** As the kernel did; null where it does not count. */
  readonly position: KernelPosition | null
  /** The plane died while it was at work for this client. */
  readonly wasServed: boolean
  /** Everything that makes its session is in shared memory. */
  readonly isRecorded: boolean
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

/** Whether a plane can go on with a client that its predecessor served, and if it cannot, whether it may tell it why. */
export function adoptable(client: KeptClient): AdoptionVerdict {
  const refused = (reason: string, canBeTold: boolean): AdoptionVerdict => ({ adopted: false, reason, canBeTold })
  switch (client.state) {
    case 'free':
    case 'closing':
      return refused('it was leaving', false)
    case 'login':
      return refused('its login was not over', false)
    case 'idle':
    case 'waiting':
    case 'active':
      if (client.tls) return refused('the keys of its TLS session are lost', false)
      return judge(client, (reason) => refused(reason, client.outboxBytes === 0))
  }
}

function judge(client: KeptClient, refused: (reason: string) => AdoptionVerdict): AdoptionVerdict {
  const { position, heldBytes } = client
  const midMessage = { adopted: false, reason: 'it was in the middle of a message', canBeTold: false } as const
  if (client.bodyRemaining > 0) return midMessage
  const left = position === null ? 0 : position.written - client.bytesWritten
  if (left !== 0 && left !== heldBytes) return midMessage
  if (client.state !== 'idle') return refused('its transaction was in the memory of the process that is gone')
  if (client.outboxBytes > 0 && client.position === null) return midMessage
  if (client.wasServed) return refused('it was being served')
  if (left !== heldBytes) return refused('its answer is lost')
  if (client.pins !== 0) return refused('its server connection had state of its own')
  if (client.channels > 0) return refused('it listened for notifications')
  if (position === null) return refused('its kind of connection does not count what went through')
  if (position.read !== client.bytesRead) return refused('what it sent last is lost')
  if (!client.isRecorded) return refused('its session was in the memory of the process that is gone')
  return { adopted: true }
}
