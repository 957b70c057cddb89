import { fstatSync } from 'node:fs'
import { BufferArena } from '../io/buffer-arena.ts'
import { SystemError } from '../io/native.ts'
import { OwnedFd } from '../io/owned-fd.ts'
import { PlainSends } from '../io/plain-sends.ts'
import { planeMemory } from '../io/plane-memory.ts'
import type { SendQueue } from '../io/send-batch.ts'
import { SharedMapping } from '../io/shared-memory.ts'
import { SubmissionRing } from '../io/submission-ring.ts'
import { tlsBytes, valueStoreBytes } from '../memory/layout.ts'
import { openSharedState } from '../memory/shared-state.ts'
import type { MappedMemory } from './active-plane.ts'

/** A plane's part of the shared memory of all. */
export interface LockedMemory extends MappedMemory {
  /** Keys of TLS sessions are never swapped out. */
  readonly keysAreLocked: boolean
}

export interface PlaneRing {
  readonly queue: SendQueue
  /** How sends leave. */
  readonly description: string
}

/** The ring if there can be one, and `wanted`. */
export function openRing(wanted: boolean): PlaneRing {
  const alone = 'one by one'
  if (!wanted) return { queue: new PlainSends(), description: `${alone} (io_uring is switched off)` }
  try {
    return { queue: SubmissionRing.open(), description: 'in batches (io_uring)' }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return { queue: new PlainSends(), description: `${alone} (${error.message})` }
  }
}

/** Maps the shared memory, which the keeper has stamped, and finds this plane's part of it. */
export function mapPlaneMemory(memoryFd: number, planeIndex: number): LockedMemory {
  const fd = new OwnedFd(memoryFd)
  const mapping = new SharedMapping(fd, fstatSync(fd.fd).size)
  const shared = openSharedState(mapping.memory)
  mapping.hideFromDumps(shared.regions.clientTls, tlsBytes(shared.regions))
  const { arenaBytesPerPlane } = shared.geometry
  const start = shared.regions.arenas + planeIndex * arenaBytesPerPlane
  const memory = planeMemory(mapping, start, arenaBytesPerPlane, valueStoreBytes(arenaBytesPerPlane))
  const { buffers, buffersAt } = memory
  const arena = new BufferArena(buffers, (offset, bytes) => mapping.discard(buffersAt + offset, bytes))
  const keysAreLocked = mapping.lock(shared.regions.clientTls, tlsBytes(shared.regions))
  return { ...memory, shared, arena, keysAreLocked }
}
