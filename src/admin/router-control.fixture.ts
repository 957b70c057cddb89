import { pino } from 'pino'
import { EventLog } from '../control/events/event-log.ts'
import type { AnalyzerState } from '../control/learning/learning.ts'
import type { OperationRecord, OperationRequest } from '../control/operations/operation.ts'
import type { ScalingState } from '../control/scaling/scaler.ts'
import { regionsOf } from '../memory/layout.ts'
import { formatSharedState, type SharedState } from '../memory/shared-state.ts'
import type { DatabaseValue, PlaneValues, UserValue } from '../shard/plane-values.ts'
import { NO_POLICY, type Policy } from '../shard/policy.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import type { ReportContext, ShowCommand } from './console/command.ts'
import type { Value } from './console/table.ts'
import { testDatabase, testShard, testUser, testValues } from './plane-values.fixture.ts'
import type {
  Pauses,
  PreservationEntry,
  ReloadReport,
  RouterControl,
  Setting,
  ShardHealth,
  ShutdownMode,
} from './router-control.ts'
import { StatsSampler } from './stats/stats-sampler.ts'

/** For tests: a shard about which all is well. */
export function testHealth(shard: number, changes: Partial<ShardHealth> = {}): ShardHealth {
  const how = { health: 'up' as const, reason: 'accepts connections', since: 95_000, probedAt: 99_000 }
  return { shard, ...how, load: null, rates: null, ...changes }
}

/** For tests: real shared memory that nobody but the test writes, a clock it sets, and a record of the commands given. */
export class TestRouter implements RouterControl {
  readonly version = '1.2.3'
  startedAt = 90_000
  readonly memory: SharedState
  now = 100_000
  readonly calls: string[] = []
  shards: Shard[] = [testShard(0, 'alpha', 'primary'), testShard(1, 'beta', 'replica')]
  shardHealth: ShardHealth[] = [testHealth(0)]
  databases: DatabaseValue[] = [testDatabase('app')]
  users: UserValue[] = [testUser('alice')]
  policy: Policy = NO_POLICY
  paused: Pauses = { all: false, databases: [] }
  settingRows: Setting[] = [{ key: 'pool.size', value: '30', default: '20', changeable: true }]
  troubleList: string[] = []
  preserved: PreservationEntry[] = []
  analyzerState: AnalyzerState = {
    model: null,
    drift: { rows: 0, features: [], unseen: 0, novel: 0, confidence: Number.NaN, disagreement: 0, state: 'unknown' },
  }
  readonly eventLog = new EventLog(pino({ level: 'silent' }), () => Date.UTC(2026, 0, 1))
  upgradeText = ''
  /** What the next commands do instead of succeeding at once. */
  outcome: () => Promise<void> = async () => undefined
  reloadOutcome: () => Promise<ReloadReport> = async () => ({ applied: [], needsRestart: [] })

  constructor(clientSlots = 16, planes = 1) {
    const geometry = {
      clientSlots,
      ordinaryClientSlots: clientSlots - 2,
      serverSlots: 8,
      poolRecords: 8,
      planes,
      arenaBytesPerPlane: 65_536,
    }
    // The wall clock is 2026-01-01 00:00:00 UTC when the monotonic one is 0.
    this.memory = formatSharedState(new ArrayBuffer(regionsOf(geometry).totalBytes), geometry, Date.UTC(2026, 0, 1))
  }

  nowMonotonic(): number {
    return this.now
  }

  values(): PlaneValues {
    return { ...testValues(this.databases, this.users, this.topology()), policy: this.policy }
  }

  topology(): Topology {
    return { version: 1, shards: this.shards }
  }

  health(): readonly ShardHealth[] {
    return this.shardHealth
  }

  settings(): readonly Setting[] {
    return this.settingRows
  }

  pauses(): Pauses {
    return this.paused
  }

  analyzer(): AnalyzerState {
    return this.analyzerState
  }

  events(): EventLog {
    return this.eventLog
  }

  troubles(): readonly string[] {
    return this.troubleList
  }

  pause(database: string | null): Promise<void> {
    return this.#call(`pause ${database}`)
  }

  async resume(database: string | null): Promise<void> {
    this.calls.push(`resume ${database}`)
  }

  reconnect(database: string | null): Promise<void> {
    return this.#call(`reconnect ${database}`)
  }

  kill(database: string | null): Promise<void> {
    return this.#call(`kill ${database}`)
  }

  killClient(slot: number, generation: number): Promise<void> {
    return this.#call(`kill client ${slot}/${generation}`)
  }

  operationRecords: OperationRecord[] = []
  scalingState: ScalingState = { mode: 'off', added: [], reports: [] }
  operationOutcome: () => Promise<OperationRecord> = async () => testOperation()

  operate(request: OperationRequest): Promise<OperationRecord> {
    this.calls.push(`operate ${JSON.stringify(request)}`)
    return this.operationOutcome()
  }

  async planOperation(request: OperationRequest): Promise<readonly string[]> {
    this.calls.push(`plan ${JSON.stringify(request)}`)
    return ['stop it', 'start it']
  }

  operations(): readonly OperationRecord[] {
    return this.operationRecords
  }

  scaling(): ScalingState {
    return this.scalingState
  }

  reload(): Promise<ReloadReport> {
    this.calls.push('reload')
    return this.reloadOutcome()
  }

  preservation(): readonly PreservationEntry[] {
    return this.preserved
  }

  upgradeStatus(): string {
    return this.upgradeText
  }

  async upgrade(program: string | null): Promise<string> {
    await this.#call(`upgrade ${program}`)
    return 'It has begun.'
  }

  shutdown(mode: ShutdownMode): void {
    this.calls.push(`shutdown ${mode}`)
  }

  #call(name: string): Promise<void> {
    this.calls.push(name)
    return this.outcome()
  }
}

/** A restart that went well, or what `changes` make of it. */
export function testOperation(changes: Partial<OperationRecord> = {}): OperationRecord {
  return {
    id: 1,
    request: { kind: 'restart', shard: 'alpha' },
    state: 'done',
    step: '',
    done: 5,
    steps: 5,
    startedAt: Date.UTC(2026, 0, 1),
    endedAt: Date.UTC(2026, 0, 1) + 1500,
    heldMs: 120,
    finished: [],
    detail: '',
    ...changes,
  }
}

/** What a command reports on. */
export function reportContextOf(router: TestRouter): ReportContext {
  return { control: router, stats: new StatsSampler(router) }
}

export { testDatabase, testShard, testUser }

/** A command's table as objects by column name. */
export function recordsOf(
  command: ShowCommand,
  router: TestRouter,
  stats?: StatsSampler,
): readonly Record<string, Value>[] {
  const context = { control: router, stats: stats ?? new StatsSampler(router) }
  return [...command.rows(context)].map((row) =>
    Object.fromEntries(command.columns.map(({ name }, index) => [name, row[index] ?? null])),
  )
}
