import { CLIENT, CLIENT_F64, CLIENT_FLAG, CLIENT_TEXT } from '../memory/client-slots.ts'
import { regionsOf } from '../memory/layout.ts'
import { formatSharedState, type SharedState } from '../memory/shared-state.ts'
import type { AnalyzerValues } from '../shard/plane-values.ts'
import type { TierRule } from '../shard/policy.ts'
import { tierOf } from '../shard/tier.ts'
import { Analyzer, type AnalyzerCounter, NO_ANALYZER } from './analyzer.ts'

const GEOMETRY = {
  clientSlots: 64,
  ordinaryClientSlots: 64,
  serverSlots: 1,
  poolRecords: 1,
  planes: 1,
  arenaBytesPerPlane: 0,
}
const IDLE = 0x49

/** For tests and benchmarks: memory of a router with one plane. */
export function openTestMemory(clientSlots: number = GEOMETRY.clientSlots): SharedState {
  const geometry = { ...GEOMETRY, clientSlots, ordinaryClientSlots: clientSlots }
  return formatSharedState(new ArrayBuffer(regionsOf(geometry).totalBytes), geometry, 0)
}

/** A request as the plane sees it. */
export interface TestRequest {
  /** Command tags, in the simple protocol. */
  readonly tags?: readonly string[]
  readonly ms?: number
  /** Before it. */
  readonly thinkMs?: number
  readonly status?: number
  readonly bytesIn?: number
  readonly bytesOut?: number
}

/** For tests: clients that come, ask and go, without sockets. */
export class TestAnalyzer {
  readonly memory: SharedState
  analyzer: Analyzer
  readonly counts: Partial<Record<AnalyzerCounter, number>> = {}
  now = 1_000_000
  #generation = 0

  constructor(values: Partial<AnalyzerValues> = {}, rules: readonly TierRule[] = [], memory = openTestMemory()) {
    this.memory = memory
    this.analyzer = this.#open()
    this.analyzer.setValues(
      { ...NO_ANALYZER, mode: 'enforce', hints: true, historySample: 1, ...values },
      rules,
      this.now,
    )
  }

  #open(): Analyzer {
    return new Analyzer(this.memory, 0, (counter) => {
      this.counts[counter] = (this.counts[counter] ?? 0) + 1
    })
  }

  /** Another process takes the plane's place. */
  replace(rules: readonly TierRule[] = []): void {
    const { values } = this.analyzer
    this.analyzer = this.#open()
    this.analyzer.setValues(values, rules, this.now)
  }

  connect(
    slot: number,
    who: { user?: string; application?: string; hint?: string; settings?: Record<string, string> } = {},
  ): void {
    const { clients } = this.memory
    clients.clear(slot)
    const i = slot * (clients.recordBytes >> 2)
    clients.i32[i + CLIENT.generation] = ++this.#generation
    clients.i32[i + CLIENT.flags] = CLIENT_FLAG.unix
    const text = (field: keyof typeof CLIENT_TEXT, value: string): void =>
      clients.writeText(slot, CLIENT_TEXT[field].offset, CLIENT_TEXT[field].capacity, value)
    text('user', who.user ?? 'alice')
    text('database', 'shop')
    text('applicationName', who.application ?? 'web')
    const settings = new Map(Object.entries(who.settings ?? {}))
    this.analyzer.connected(slot, { settings, hint: who.hint ?? null }, this.now)
  }

  rename(slot: number, application: string): void {
    this.memory.clients.writeText(
      slot,
      CLIENT_TEXT.applicationName.offset,
      CLIENT_TEXT.applicationName.capacity,
      application,
    )
    this.analyzer.renamed(slot, this.now)
    this.request(slot)
  }

  request(slot: number, request: TestRequest = {}): void {
    const { clients } = this.memory
    const f = slot * (clients.recordBytes >> 3)
    this.now += request.thinkMs ?? 0
    clients.f64[f + CLIENT_F64.queryAt] = this.now
    if (clients.f64[f + CLIENT_F64.transactionAt] === 0) clients.f64[f + CLIENT_F64.transactionAt] = this.now
    clients.f64[f + CLIENT_F64.bytesRead]! += request.bytesIn ?? 50
    this.now += request.ms ?? 1
    clients.f64[f + CLIENT_F64.bytesWritten]! += request.bytesOut ?? 200
    for (const tag of request.tags ?? ['SELECT 1']) {
      const bytes = Buffer.from(`${tag}\0`)
      this.analyzer.profiles.command(slot, bytes, 0, bytes.length, false)
    }
    const status = request.status ?? IDLE
    clients.f64[f + CLIENT_F64.queryAt] = 0
    this.analyzer.answered(slot, status, request.ms ?? 1, this.now)
    if (status === IDLE) clients.f64[f + CLIENT_F64.transactionAt] = 0
  }

  tierOf(slot: number): string {
    return tierOf(this.memory.clients.i32[slot * (this.memory.clients.recordBytes >> 2) + CLIENT.tier] as number)
  }
}
