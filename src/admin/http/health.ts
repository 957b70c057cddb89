import { readPlane } from '../../memory/plane-records.ts'
import type { RouterControl } from '../router-control.ts'

/** A plane turns at least once a second; one that has not for this long is stuck or gone. */
export const HEARTBEAT_LIMIT_MS = 5_000
/** A plane that is away for this long will not come back by itself. */
const GIVE_UP_MS = 30_000

export interface HealthVerdict {
  readonly ok: boolean
  /** Why not, one sentence each. */
  readonly reasons: readonly string[]
  /** What an operator should know all the same. */
  readonly troubles: readonly string[]
}

/** Whether new work should be sent here: every plane turns and takes clients, every group has a primary that is up. */
export function readiness(control: RouterControl): HealthVerdict {
  return verdict(control, [
    ...planeReasons(control, HEARTBEAT_LIMIT_MS),
    ...drainReasons(control),
    ...groupReasons(control),
  ])
}

/**
 * Whether only a restart of the router can help: a plane is gone for good. Nothing else is a reason to take clients'
 * connections away, least of all shards that are down.
 */
export function liveness(control: RouterControl): HealthVerdict {
  const starting = control.nowMonotonic() - control.startedAt < GIVE_UP_MS
  return verdict(control, starting ? [] : planeReasons(control, GIVE_UP_MS))
}

/** How long ago the plane turned, in milliseconds; null when there has never been one. */
export function heartbeatAge(control: RouterControl, plane: number): number | null {
  const view = readPlane(control.memory.planes, plane)
  return view === null ? null : Math.max(0, control.nowMonotonic() - view.totals.turnedAt)
}

function verdict(control: RouterControl, reasons: readonly string[]): HealthVerdict {
  return { ok: reasons.length === 0, reasons, troubles: control.troubles() }
}

function planeReasons(control: RouterControl, limitMs: number): readonly string[] {
  const reasons: string[] = []
  for (let plane = 0; plane < control.memory.geometry.planes; plane++) {
    const age = heartbeatAge(control, plane)
    if (age === null) reasons.push(`Plane ${plane} has not started.`)
    else if (age > limitMs) reasons.push(`Plane ${plane} has not turned for ${Math.floor(age / 1000)} s.`)
  }
  return reasons
}

function drainReasons({ memory }: RouterControl): readonly string[] {
  const reasons: string[] = []
  for (let plane = 0; plane < memory.geometry.planes; plane++) {
    if (readPlane(memory.planes, plane)?.draining === true) reasons.push(`Plane ${plane} is draining.`)
  }
  return reasons
}

function groupReasons(control: RouterControl): readonly string[] {
  const { shards } = control.topology()
  const groups = new Set([...shards.map(({ group }) => group), ...control.values().databases.map(({ group }) => group)])
  return [...groups].flatMap((group) => {
    const primary = shards.find((shard) => shard.group === group && shard.role === 'primary')
    if (primary === undefined) return [`No primary of the group "${group}" is known.`]
    if (primary.up) return []
    const reason = control.health().find(({ shard }) => shard === primary.id)?.reason ?? 'not probed yet'
    return [`The primary of the group "${group}", ${primary.name}, is down: ${reason}.`]
  })
}
