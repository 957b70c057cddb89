import { SERVER, SERVER_STATE, SERVER_TEXT } from '../memory/server-slots.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { decodeTarget } from '../server/server-kind.ts'
import { Timer } from '../util/timer-wheel.ts'
import { backendOf, type CancelledBackend, CancelRequest } from './cancel-request.ts'
import type { Plane } from './plane.ts'

/**
 * A backend that has not begun with a query yet takes no notice of its first cancel request, and with none of the end of its connection
 * until it has something to say.
 */
const CANCEL_AGAIN_MS = 1000
/** Slots are for connections; what is beyond is not known to a successor. */
const MOST_NOTED = 256

/**
 * What clients have left behind: backends that work for nobody any more, and whose connections are closed. Each is cancelled at
 * once, and again after a second. Meanwhile a server slot that is free to all others says so (`SERVER.abandoned`), with
 * what a cancel request needs, so that a successor of this process does it should it be over before.
 */
export class AbandonedWork {
  readonly #plane: Plane
  #noted = 0

  constructor(plane: Plane) {
    this.#plane = plane
  }

  /** Before the server connection is closed. */
  cancel(server: ServerConnection): void {
    CancelRequest.send(this.#plane, server)
    const { servers } = this.#plane
    const targetId = servers.i32[server.slot * (servers.recordBytes >> 2) + SERVER.targetId] ?? 0
    this.#cancelLater(backendOf(server), targetId)
  }

  /**
   * What a predecessor has not cancelled for the second time: now, and again after a second. `open`: server connections that
   * are there still, for which others care.
   */
  takeOver(open: Iterable<ServerConnection>): void {
    const known = new Set([...open].map((server) => nameOf(backendOf(server))))
    for (const { backend, targetId } of this.#left()) {
      if (known.has(nameOf(backend))) continue
      CancelRequest.sendTo(this.#plane, backend)
      this.#cancelLater(backend, targetId)
    }
  }

  #cancelLater(backend: CancelledBackend, targetId: number): void {
    const plane = this.#plane
    const slot = this.#note(backend, targetId)
    const again = new Timer(() => {
      CancelRequest.sendTo(plane, backend)
      if (slot < 0) return
      this.#noted--
      plane.servers.clear(slot)
      plane.serverSlots.release(slot)
    })
    plane.timers.arm(again, plane.now + CANCEL_AGAIN_MS)
  }

  /** The slot where it is written down, −1: nowhere. */
  #note({ backendPid, cancelKey }: CancelledBackend, targetId: number): number {
    if (this.#noted >= MOST_NOTED || targetId === 0) return -1
    const { servers, planeIndex } = this.#plane
    const slot = this.#plane.serverSlots.take()
    if (slot < 0) return -1
    this.#noted++
    servers.clear(slot)
    const i = slot * (servers.recordBytes >> 2)
    servers.i32[i + SERVER.plane] = planeIndex
    servers.i32[i + SERVER.backendPid] = backendPid
    servers.i32[i + SERVER.cancelKeyBytes] = cancelKey.length
    cancelKey.copy(servers.bytes, slot * servers.recordBytes + SERVER_TEXT.cancelKey.offset)
    servers.i32[i + SERVER.targetId] = targetId
    servers.i32[i + SERVER.abandoned] = 1
    return slot
  }

  /** What the slots of this plane say, which then say it no more. */
  #left(): readonly { readonly backend: CancelledBackend; readonly targetId: number }[] {
    const { servers, planeIndex, store, values } = this.#plane
    const found: { readonly backend: CancelledBackend; readonly targetId: number }[] = []
    for (let slot = 0; slot < servers.count; slot++) {
      const i = slot * (servers.recordBytes >> 2)
      if (servers.i32[i + SERVER.abandoned] !== 1 || servers.i32[i + SERVER.state] !== SERVER_STATE.free) continue
      if (servers.i32[i + SERVER.plane] !== planeIndex) continue
      const targetId = servers.i32[i + SERVER.targetId] ?? 0
      const target = store.get(targetId)
      const name = target === null ? null : decodeTarget(target).shard
      const shard = values.topology.shards.find((each) => each.name === name)
      const keyAt = slot * servers.recordBytes + SERVER_TEXT.cancelKey.offset
      const cancelKey = Buffer.from(
        servers.bytes.subarray(keyAt, keyAt + (servers.i32[i + SERVER.cancelKeyBytes] ?? 0)),
      )
      const backendPid = servers.i32[i + SERVER.backendPid] ?? 0
      servers.clear(slot)
      if (shard !== undefined) found.push({ backend: { shard, backendPid, cancelKey }, targetId })
    }
    return found
  }
}

const nameOf = ({ shard, backendPid }: CancelledBackend): string => `${shard.name} ${backendPid}`
