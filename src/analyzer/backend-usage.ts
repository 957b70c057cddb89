import { PROFILE_F32, PROFILE_F64 } from '../memory/profile-records.ts'
import type { Region } from '../memory/region.ts'
import { SERVER_F32, SERVER_F64 } from '../memory/server-slots.ts'
import { roughLog2 } from './rough-log.ts'

/** What a new sample counts against all before it. */
const NEW = 0.5

/**
 * Makes the latest sample of the server process behind `server`, a slot, part of the profile of the client in `slot`, which
 * uses it now. Each sample counts once per client. In transaction pooling a process serves several clients of one user and
 * database in turn, so a short look says what they do together; over many looks at many processes the client's own share stands out.
 */
export function learnBackendUsage(profiles: Region, slot: number, servers: Region, server: number): void {
  const sampledAt = servers.f64[server * (servers.recordBytes >> 3) + SERVER_F64.usageAt] as number
  const f = slot * (profiles.recordBytes >> 3)
  if (sampledAt === 0 || sampledAt <= (profiles.f64[f + PROFILE_F64.usageAt] as number)) return
  // Of somebody who was here before.
  if (sampledAt < (profiles.f64[f + PROFILE_F64.connectedAt] as number)) return
  profiles.f64[f + PROFILE_F64.usageAt] = sampledAt
  const from = server * (servers.recordBytes >> 2)
  const to = slot * (profiles.recordBytes >> 2)
  mix(profiles.f32, to + PROFILE_F32.backendCpu, servers.f32[from + SERVER_F32.cpu] as number)
  mixLog(profiles.f32, to + PROFILE_F32.backendMemory, servers.f32[from + SERVER_F32.memory] as number)
  mixLog(profiles.f32, to + PROFILE_F32.backendRead, 1 + (servers.f32[from + SERVER_F32.read] as number))
  mixLog(profiles.f32, to + PROFILE_F32.backendWrite, 1 + (servers.f32[from + SERVER_F32.write] as number))
}

function mixLog(f32: Float32Array, at: number, value: number): void {
  if (value > 0) mix(f32, at, roughLog2(value))
}

function mix(f32: Float32Array, at: number, value: number): void {
  if (Number.isNaN(value)) return
  const before = f32[at] as number
  f32[at] = Number.isNaN(before) ? value : before + NEW * (value - before)
}
