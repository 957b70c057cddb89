import type { Logger } from '../log.ts'
import { CLIENT, readClient } from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import { LOST_KIND, PLANE, PLANE_F64 } from '../memory/plane-records.ts'
import { readServer, SERVER } from '../memory/server-slots.ts'
import type { SharedState } from '../memory/shared-state.ts'
import { type MarkedSlot, markedSlot } from '../memory/slot-mark.ts'
import type { ClientTable } from './client-table.ts'
import { type Crash, type Culprit, quarantineVerdict } from './quarantine.ts'
import type { ServerTable } from './server-table.ts'
import type { Ending } from './supervised-child.ts'

/** What is looked at when a plane has died. */
export interface CrashRecordOptions {
  readonly shared: SharedState
  readonly clients: ClientTable
  readonly servers: ServerTable
  readonly log: Logger
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** Remembers whom planes were serving when they crashed, and ends the connection that is found there twice. */
export class CrashRecord {
  readonly #options: CrashRecordOptions
  #crashes: readonly Crash[] = []

  constructor(options: CrashRecordOptions) {
    this.#options = options
  }

  /** `plane` is about to be asked to exit: its clients wait from now on. */
  noteRelease(plane: number): void {
    this.#noteEnd(plane, LOST_KIND.released)
  }

  /** `plane` is dead, and has no successor yet. */
  examine(plane: number, ending: Ending): void {
    const { shared, log, now } = this.#options
    if (this.#lostKind(plane) !== LOST_KIND.released) this.#noteEnd(plane, LOST_KIND.crashed)
    const at = plane * (shared.planes.recordBytes >> 2) + PLANE.slotInProgress
    const marked = markedSlot(shared.clients, shared.servers, shared.planes.i32[at] ?? 0)
    shared.planes.i32[at] = 0
    if (marked === null || !ending.isCrash) return
    const culprit = this.#culprit(marked)
    const { quarantined, crashes } = quarantineVerdict(this.#crashes, { culprit, at: now() })
    this.#crashes = crashes
    const who = this.#describe(culprit)
    if (quarantined) {
      this.#end(culprit, plane)
      log.error(
        { plane, ...who },
        `plane ${plane} crashed twice while it served one ${culprit.kind}, which is closed now`,
      )
    } else {
      log.warn({ plane, ...who }, `plane ${plane} crashed while it served this ${culprit.kind}`)
    }
  }

  /** For the successor, who says how long clients waited. */
  #noteEnd(plane: number, kind: number): void {
    const { planes } = this.#options.shared
    planes.i32[plane * (planes.recordBytes >> 2) + PLANE.lostKind] = kind
    planes.f64[plane * (planes.recordBytes >> 3) + PLANE_F64.lostAt] = this.#options.now()
  }

  #lostKind(plane: number): number {
    const { planes } = this.#options.shared
    return planes.i32[plane * (planes.recordBytes >> 2) + PLANE.lostKind] ?? 0
  }

  #culprit({ kind, slot }: MarkedSlot): Culprit {
    const { clients, servers } = this.#options.shared
    const region = kind === 'client' ? clients : servers
    const field = kind === 'client' ? CLIENT.generation : SERVER.generation
    return { kind, slot, generation: (region.i32[slot * (region.recordBytes >> 2) + field] ?? 0) >>> 0 }
  }

  /** Who it is, for the log. */
  #describe({ kind, slot }: Culprit): Readonly<Record<string, string | number>> {
    const { clients, servers } = this.#options.shared
    if (kind === 'client') {
      const client = readClient(clients, slot)
      if (client === null) return { client: slot }
      const { user, database, applicationName, address, remotePort } = client
      return { client: slot, user, database, application: applicationName, address, remotePort }
    }
    const server = readServer(servers, slot)
    if (server === null) return { server: slot }
    const { address, remotePort, backendPid } = server
    return { server: slot, address, remotePort, backendPid }
  }

  #end({ kind, slot, generation }: Culprit, plane: number): void {
    const reference: SlotReference = { slot, generation }
    if (kind === 'client') this.#options.clients.release(reference, plane)
    else this.#options.servers.drop(reference, plane)
  }
}
