import type { BufferArena } from '../io/buffer-arena.ts'
import type { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { Poller } from '../io/poller.ts'
import type { ReadAhead } from '../io/read-ahead.ts'
import type { ReadBuffers } from '../io/read-buffers.ts'
import type { SendBatch } from '../io/send-batch.ts'
import type { Steps } from '../io/steps.ts'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { SharedState } from '../memory/shared-state.ts'
import type { ValueStore } from '../memory/value-store.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import type { SecondOpinion } from '../sql/second-opinion.ts'
import type { TimerWheel } from '../util/timer-wheel.ts'

/** What a plane is made of, and whom it can speak to. */
export interface PlaneParts {
  readonly planeIndex: number
  readonly shared: SharedState
  readonly poller: Poller
  readonly timers: TimerWheel
  readonly arena: BufferArena
  readonly reads: ReadBuffers
  readonly readAhead: ReadAhead
  readonly sends: SendBatch
  readonly steps: Steps
  /** Where bytes are put together on their way to clients and to servers. */
  readonly gathers: { readonly toClient: NativeBuffer; readonly toServer: NativeBuffer }
  /** For values that outlive this process. */
  readonly store: ValueStore
  readonly values: PlaneValues
  /** Monotonic milliseconds of this very moment. */
  readonly clock: () => number
  /** At least 0, below 1. */
  readonly random: () => number
  /** Null: the lexer's word on statements counts. */
  readonly opinion: SecondOpinion | null
  randomBytes(count: number): Buffer
  /** Says it to the control process, if that listens. */
  tell(event: PlaneEvent): boolean
  /** The keeper may give the slot to somebody else. */
  gone(client: SlotReference): void
  /** The keeper holds a duplicate of a server connection's descriptor, until `drop`. */
  keep(server: SlotReference, fd: OwnedFd): void
  drop(server: SlotReference): void
}
