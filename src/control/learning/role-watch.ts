import type { Config } from '../../config/schema.ts'
import { IDENTITY, readIdentityNames } from '../../memory/identity-records.ts'
import { IDENTITY_RECORDS } from '../../memory/layout.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import type { Shard } from '../../shard/topology.ts'
import type { ShardQuestion } from '../monitor/shard-probe.ts'
import type { BackendWatchOptions } from './backend-watch.ts'

const TIMEOUT_MS = 1_000
/** Roles are asked about again after this time: privileges change. */
const KNOWN_MS = 60_000

/** What the watch looks at: shared memory, configuration and shards. */
export interface RoleWatchOptions {
  readonly memory: SharedState
  readonly config: () => Config
  readonly shards: () => readonly Shard[]
  readonly ask: BackendWatchOptions['ask']
  /** Monotonic milliseconds. */
  readonly now: () => number
}

interface RoleRow {
  readonly name: string
  readonly is_superuser: boolean
  readonly memberships: number
}

/** Whether roles are superusers, and of how many roles they are direct members. */
function rolesQuestion(names: readonly string[]): ShardQuestion {
  return {
    name: 'switchyard_roles',
    text: `select r.rolname as name, r.rolsuper as is_superuser,
        (select count(*)::int from pg_catalog.pg_auth_members m where m.member = r.oid) as memberships
      from pg_catalog.pg_roles r where r.rolname = any($1::text[])`,
    values: [names],
  }
}

/** Null: there is no such role. */
interface Known {
  readonly role: RoleRow | null
  readonly askedAt: number
}

interface Identity {
  readonly record: number
  readonly user: string
  readonly group: string
}

/** Finds what privileges the users of identities have, and writes it to the identities' records, where planes look. */
export class RoleWatch {
  readonly #options: RoleWatchOptions
  /** By group and user, as JSON. */
  readonly #known = new Map<string, Known>()

  constructor(options: RoleWatchOptions) {
    this.#options = options
  }

  /** One round. Settles when what was found is written. */
  async look(): Promise<void> {
    const identities = [...this.#identities()]
    const byGroup = Map.groupBy(identities, ({ group }) => group)
    await Promise.all([...byGroup].map(([group, own]) => this.#ask(group, new Set(own.map(({ user }) => user)))))
    const keys = new Set(identities.map(keyOf))
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key)
    for (const identity of identities) {
      const role = this.#known.get(keyOf(identity))?.role ?? null
      if (role !== null) this.#write(identity.record, role)
    }
  }

  async #ask(group: string, users: ReadonlySet<string>): Promise<void> {
    const { shards, ask, now } = this.#options
    const askedAt = now()
    const due = [...users].filter((user) => {
      const known = this.#known.get(keyOf({ group, user }))
      return known === undefined || askedAt - known.askedAt > KNOWN_MS
    })
    const primary = shards().find((shard) => shard.group === group && shard.role === 'primary' && shard.up)
    if (due.length === 0 || primary === undefined) return
    const rows = await ask<RoleRow>(primary.id, rolesQuestion(due), TIMEOUT_MS)
    if (rows === null) return
    const found = new Map(rows.map((row) => [row.name, row]))
    for (const user of due) this.#known.set(keyOf({ group, user }), { role: found.get(user) ?? null, askedAt })
  }

  *#identities(): Generator<Identity> {
    const { memory, config } = this.#options
    const { databases } = config()
    const groups = new Map(databases.map(({ entry, group }) => [entry, group]))
    for (let record = 0; record < memory.identities.count; record++) {
      const names = readIdentityNames(memory.identities, record)
      if (names === null) {
        // Records are used in order; behind the first that never was, there are none, and looking would take memory.
        record = (Math.floor(record / IDENTITY_RECORDS) + 1) * IDENTITY_RECORDS - 1
        continue
      }
      const group = groups.get(names.database) ?? groups.get('*')
      if (group !== undefined) yield { record, user: names.user, group }
    }
  }

  #write(record: number, role: RoleRow): void {
    const { i32, recordBytes } = this.#options.memory.identities
    const i = record * (recordBytes >> 2)
    i32[i + IDENTITY.superuser] = role.is_superuser ? 2 : 1
    i32[i + IDENTITY.memberships] = role.memberships + 1
  }
}

function keyOf({ group, user }: Pick<Identity, 'group' | 'user'>): string {
  return JSON.stringify([group, user])
}
