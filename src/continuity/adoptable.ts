import type { ClientState } from '../memory/client-slots.ts'

/** What the slots say of a client whose plane is dead. Each call that was under way then may or may not have happened. */
export interface KeptClient {
  readonly state: ClientState
  readonly tls: boolean
  /** Bytes for it that the kernel did not take. */
  readonly outboxBytes: number
  /** Bytes of a server's message still to come, of which it has the first part. */
  readonly bodyRemaining: number
}

export interface AdoptionVerdict {
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
      if (client.outboxBytes > 0 || client.bodyRemaining > 0) return refused('it was in the middle of a message', false)
      return refused('its session was in the memory of the process that is gone', true)
  }
}
