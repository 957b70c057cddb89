import { CLIENT, CLIENT_STATE } from '../memory/client-slots.ts'
import { POOL } from '../memory/pool-records.ts'
import { PROFILE } from '../memory/profile-records.ts'
import { isCountedApart, slotsOf } from '../shard/policy.ts'
import type { RouterControl } from './router-control.ts'

/** What the clients of one rule have of one shard, as one plane gives it to them. */
export interface RuleLoad {
  readonly shard: string
  readonly plane: number
  /** The first rule is 1. */
  readonly rule: number
  /** Transactions under way, and that wait; the most that may be under way. */
  readonly held: number
  readonly waiting: number
  readonly allowed: number
  /** Slots of the shard. */
  readonly limit: number
}

/**
 * Of each rule by which clients are counted apart, each shard of which they have or want something, or that they could. Counted
 * from the clients' slots when asked: planes have no record of it, and need none after a crash.
 */
export function ruleLoads(control: RouterControl): readonly RuleLoad[] {
  const { rules } = control.values().policy
  const apart = [...rules.entries()].filter(([, rule]) => isCountedApart(rule))
  if (apart.length === 0) return []
  const counts = countClients(control)
  const { planes } = control.memory.geometry
  return control.topology().shards.flatMap(({ id, name, slots, maxConnections }) =>
    Array.from({ length: planes }, (_, plane) =>
      apart.map(([place, { max = null }]): RuleLoad => {
        const limit = slots ?? maxConnections
        const [held = 0, waiting = 0] = counts.get(keyOf(plane, id, place)) ?? []
        const allowed = max === null ? limit : Math.max(1, slotsOf(max, limit, Math.ceil))
        return { shard: name, plane, rule: place + 1, held, waiting, allowed, limit }
      }),
    ).flat(),
  )
}

const keyOf = (plane: number, shard: number, place: number): string => `${plane} ${shard} ${place}`

/** Clients with a server connection, and those that wait for one, by plane, shard and rule. */
function countClients({ memory }: RouterControl): ReadonlyMap<string, readonly [number, number]> {
  const { clients, profiles, pools } = memory
  const counts = new Map<string, [number, number]>()
  const at = (slot: number, field: number): number => clients.i32[slot * (clients.recordBytes >> 2) + field] ?? 0
  for (let slot = 0; slot < clients.count; slot++) {
    const state = at(slot, CLIENT.state)
    if (state !== CLIENT_STATE.active && state !== CLIENT_STATE.waiting) continue
    const profile = slot * (profiles.recordBytes >> 2)
    const place = (profiles.i32[profile + PROFILE.rule] ?? 0) - 1
    const pool = at(slot, CLIENT.pool) - 1
    if (place < 0 || pool < 0 || profiles.i32[profile + PROFILE.generation] !== at(slot, CLIENT.generation)) continue
    const shard = pools.i32[pool * (pools.recordBytes >> 2) + POOL.shard] ?? -1
    const key = keyOf(at(slot, CLIENT.plane), shard, place)
    const count = counts.get(key) ?? [0, 0]
    if (at(slot, CLIENT.server) > 0) count[0]++
    else if (state === CLIENT_STATE.waiting) count[1]++
    counts.set(key, count)
  }
  return counts
}
