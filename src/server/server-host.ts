import type { ScramKeyCache } from '../auth/scram-key-cache.ts'
import type { Gather } from '../io/gather.ts'
import type { LinkHost } from '../io/link-host.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { TlsContext } from '../io/tls-context.ts'
import type { Region } from '../memory/region.ts'
import type { ValueStore } from '../memory/value-store.ts'
import type { ParameterRegistry } from '../session/parameters.ts'
import type { StatementRegistry } from '../session/prepared-statements.ts'
import type { LimitValues, ServerTlsMode, TimeoutValues } from '../shard/plane-values.ts'
import type { TimerWheel } from '../util/timer-wheel.ts'
import type { CpuWatch } from './cpu-watch.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, string | number | boolean | null>>

/** What server connections need of the plane they live in. */
export interface ServerHost extends LinkHost {
  readonly servers: Region
  /** TLS sessions with servers, by slot. */
  readonly serverTlsRecords: Region
  readonly pools: Region
  readonly timers: TimerWheel
  readonly parameters: ParameterRegistry
  readonly statements: StatementRegistry
  /** For values that outlive this process. */
  readonly store: ValueStore
  readonly scramKeys: ScramKeyCache
  /** For replies on their way to clients. */
  readonly toClient: Gather
  readonly planeIndex: number
  /** Monotonic milliseconds, read once per wake-up. */
  readonly now: number
  readonly timeouts: TimeoutValues
  readonly limits: LimitValues
  readonly cpuShares: CpuWatch
  /** What the client in this slot wants slots of shards as, when it is of this tier: see `claimOf` in shard/claim.ts. */
  claimOf(slot: number, tier: number): number
  readonly serverTls: { readonly mode: ServerTlsMode; readonly context: TlsContext | null }
  /** A pool is gone: whoever remembers its own asks again. */
  poolsChanged(): void
  randomBytes(count: number): Buffer
  /** A free server slot, or −1 when all are taken. */
  takeServerSlot(): number
  freeServerSlot(slot: number): void
  /** A connection is open in this slot: somebody else keeps a duplicate of its descriptor until the slot is freed. */
  serverOpened(slot: number, fd: OwnedFd): void
  log(level: LogLevel, message: string, fields: LogFields): void
  /** The shard is not what the topology says (refused, read-only …): somebody should probe it now. */
  suspect(shardId: number, reason: string): void
}
