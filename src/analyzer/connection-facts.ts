import { CLIENT, CLIENT_FLAG, CLIENT_TEXT } from '../memory/client-slots.ts'
import type { IdentityNames } from '../memory/identity-records.ts'
import { PROFILE_FLAG } from '../memory/profile-records.ts'
import type { Region } from '../memory/region.ts'
import type { ConnectionFacts, SettingFacts } from './connection-profiles.ts'
import { normaliseApplication, subnetOf } from './identity.ts'

/** What a client logged in with; who it is says its slot. */
export interface NewConnection {
  /** Of the startup packet; names in lower case. */
  readonly settings: ReadonlyMap<string, string>
  /** The tier that the startup packet asks for, or null. */
  readonly hint: string | null
}

/** Whose connection it is that has this client slot, as it calls itself now. */
export function identityIn(clients: Region, slot: number): IdentityNames {
  const text = (field: keyof typeof CLIENT_TEXT): string => clients.readText(slot, CLIENT_TEXT[field].offset)
  return {
    user: text('user'),
    database: text('database'),
    application: normaliseApplication(text('applicationName')),
    subnet: subnetOf(text('address'), (flagsIn(clients, slot) & CLIENT_FLAG.unix) !== 0),
  }
}

/** What a profile begins with. `raisingUsers`: whose hints may raise. */
export function factsOf(
  clients: Region,
  slot: number,
  identity: number,
  settings: ReadonlyMap<string, string>,
  raisingUsers: readonly string[],
): ConnectionFacts {
  const flags = flagsIn(clients, slot)
  const { isReadOnly, statementTimeoutMs } = settingFacts(settings)
  const mayRaise = raisingUsers.includes(clients.readText(slot, CLIENT_TEXT.user.offset))
  return {
    generation: clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.generation] as number,
    identity,
    flags:
      (flags & CLIENT_FLAG.tls ? PROFILE_FLAG.tls : 0) |
      (flags & CLIENT_FLAG.unix ? PROFILE_FLAG.local : 0) |
      (isReadOnly ? PROFILE_FLAG.readOnly : 0) |
      (mayRaise ? PROFILE_FLAG.mayRaise : 0),
    statementTimeoutMs,
    startupSettings: settings.size,
  }
}

/** What the settings of a session, with names in lower case, say of it. */
export function settingFacts(settings: ReadonlyMap<string, string>): SettingFacts {
  return {
    isReadOnly: /^(on|true|yes|1)$/i.test(settings.get('default_transaction_read_only') ?? ''),
    statementTimeoutMs: millisecondsOf(settings.get('statement_timeout')),
  }
}

function flagsIn({ i32, recordBytes }: Region, slot: number): number {
  return i32[slot * (recordBytes >> 2) + CLIENT.flags] as number
}

/** A statement_timeout as PostgreSQL reads it; 0 when there is none, or it makes no sense. */
export function millisecondsOf(text: string | undefined): number {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d|)\s*$/.exec(text ?? '')
  if (found === null) return 0
  const units: Record<string, number> = { us: 0.001, ms: 1, '': 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }
  return Number(found[1]) * (units[found[2] as string] ?? 0)
}
