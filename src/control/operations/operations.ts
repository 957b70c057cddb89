import { RouterError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import type { Shard } from '../../shard/topology.ts'
import { untilAborted } from '../../util/until-aborted.ts'
import type { EventSink } from '../events/event-log.ts'
import type { ShardClaim } from '../scaling/drivers/local/shard-claims.ts'
import { type CensusResult, ClientCensus } from './client-census.ts'
import { LiveWorld, type LiveWorldOptions } from './live-world.ts'
import { type OperationRecord, type OperationRequest, type OperationScript, requestText } from './operation.ts'
import type { OperationJournal } from './operation-journal.ts'
import { eventKindOf, makesWay, reportedAs } from './operation-kinds.ts'
import type { EarlierLosses, RecentLosses } from './recent-losses.ts'
import { scriptOf } from './script-of.ts'

/** What operations need, and who is told of them. */
export interface OperationsOptions extends LiveWorldOptions {
  readonly journal: OperationJournal
  readonly memory: SharedState
  readonly losses: RecentLosses
  /** What became of the clients of the shards that an operation was at work on. */
  readonly onReport: (result: CensusResult) => void
  /** Lets no other router work on these shards; a string: why that cannot be. */
  readonly claim: (shards: readonly string[]) => Promise<ShardClaim | string>
  /** Milliseconds since 1970. */
  readonly wallClock: () => number
  /** An operation has ended; the next one may begin. */
  readonly onEnded: (record: OperationRecord) => void
  readonly events: EventSink
  readonly log: Logger
}

/** A plane may notice so much sooner than the monitor. */
const SOONER_MS = 2_000

/** Carries out one operation at a time, and goes on with one that a dead control process has begun. */
export class Operations {
  readonly #options: OperationsOptions
  #running: Promise<OperationRecord> | null = null
  #current: OperationRecord | null = null
  /** Of the one at work. */
  #abort = new AbortController()
  /** When the last report ended: what was before is in it. */
  #reportedAt = 0

  constructor(options: OperationsOptions) {
    this.#options = options
  }

  /** Something is at work that a failover has to wait for. */
  get isBusy(): boolean {
    return this.#running !== null && !makesWay(this.#current?.request)
  }

  /** Anything is at work. */
  get isAtWork(): boolean {
    return this.#running !== null
  }

  /** The oldest first. */
  get records(): readonly OperationRecord[] {
    return this.#options.journal.state.operations
  }

  /** Once shards have been probed: drains what was drained, and begins again what was interrupted. */
  resume(): void {
    const { journal, log, monitor, link, scale } = this.#options
    for (const name of journal.state.drained) {
      const shard = monitor.topology.shards.find((each) => each.name === name)
      if (shard === undefined) continue
      monitor.setDrained(name, true)
      const deadlineMs = scale.get(name) === null ? this.#options.drainMs() : scale.drainMs
      link.holds.hold(shard.id, deadlineMs)
      link.askAll({ op: 'hold', shard: shard.id, deadlineMs }).catch(() => undefined)
    }
    const interrupted = journal.state.operations.findLast(({ state }) => state === 'running')
    if (interrupted === undefined) return
    log.warn({ operation: interrupted.id }, `goes on with ${requestText(interrupted.request)}, which was interrupted`)
    this.#begin(interrupted.request, interrupted).catch((error: unknown) =>
      log.error({ err: error, operation: interrupted.id }, `${requestText(interrupted.request)} failed`),
    )
  }

  /** The steps of an operation, in words. Throws RouterError like `run`, and does nothing. */
  async plan(request: OperationRequest): Promise<readonly string[]> {
    const world = new LiveWorld(this.#options, idleHooks)
    const { steps } = await scriptOf(world, request)
    return steps.map(({ text }) => text)
  }

  /**
   * Carries an operation out. Rejects with RouterError: 42704 for names that are not there, 55000 when shards are not in a
   * state for it, 0A000 when nobody manages them, 55006 when another operation runs, 58000 when a step failed.
   */
  async run(request: OperationRequest): Promise<OperationRecord> {
    if (request.kind === 'failover') await this.#makeWay()
    if (this.#current !== null) {
      throw new RouterError(
        '55006',
        `${requestText(this.#current.request)} is running (operation ${this.#current.id}).`,
        {
          origin: 'client',
          hint: 'SHOW OPERATIONS tells how far it is.',
        },
      )
    }
    return await this.#begin(request, null)
  }

  /** A shard that is being made, or taken away, is in nobody's way; a lost primary is. */
  async #makeWay(): Promise<void> {
    if (!makesWay(this.#current?.request)) return
    this.#abort.abort(new RouterError('58000', 'It made way for a failover.', { origin: 'router' }))
    await this.idle()
  }

  /** Settles when nothing runs any more. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined)
  }

  #begin(request: OperationRequest, interrupted: OperationRecord | null): Promise<OperationRecord> {
    const record: OperationRecord = {
      id: interrupted?.id ?? Math.max(0, ...this.records.map(({ id }) => id)) + 1,
      request,
      state: 'running',
      step: '',
      done: 0,
      steps: 0,
      startedAt: interrupted?.startedAt ?? this.#options.wallClock(),
      endedAt: 0,
      heldMs: interrupted?.heldMs ?? 0,
      finished: interrupted?.finished ?? [],
      detail: interrupted?.detail ?? '',
    }
    this.#current = record
    this.#abort = new AbortController()
    this.#publish(record, `${requestText(request)} ${interrupted === null ? 'has begun' : 'goes on'}`, '', {})
    const running = this.#carryOut(record).finally(() => {
      const ended = this.#current
      this.#current = null
      this.#running = null
      if (ended !== null) this.#options.onEnded(ended)
    })
    this.#running = running
    return running
  }

  async #carryOut(record: OperationRecord): Promise<OperationRecord> {
    const world = new LiveWorld(this.#options, {
      finished: record.finished,
      onFinished: (shard) => this.#note({ finished: [...(this.#current?.finished ?? []), shard] }),
      onDrained: (shard, drained) => this.#noteDrained(shard.name, drained),
      onSay: (message) => this.#say(message),
      signal: this.#abort.signal,
    })
    const claim = await this.#claim(record.request)
    try {
      return await this.#carryOutAlone(record, world)
    } finally {
      await claim.release()
    }
  }

  /** All shards of the group that this is about. Rejects with 55006 when another router is at work on them. */
  async #claim(request: OperationRequest): Promise<ShardClaim> {
    const claim = await this.#options.claim(this.#group(request).map(({ name }) => name))
    if (typeof claim !== 'string') return claim
    throw new RouterError('55006', `Another router is at work on these shards. ${claim}`, { origin: 'client' })
  }

  #group(request: OperationRequest): readonly Shard[] {
    const { shards } = this.#options.monitor.topology
    const isMeant = 'group' in request ? request.group : null
    const group = isMeant ?? shards.find(({ name }) => 'shard' in request && name === request.shard)?.group
    return shards.filter((shard) => shard.group === group)
  }

  async #carryOutAlone(record: OperationRecord, world: LiveWorld): Promise<OperationRecord> {
    const before = record.heldMs
    const report = this.#census(record.request)
    let script: OperationScript | null = null
    try {
      script = await scriptOf(world, record.request)
      await this.#walk(script, world, before)
      await world.close()
      report(before + world.heldMs)
      return this.#end('done', { step: '', heldMs: before + Math.round(world.heldMs) })
    } catch (error) {
      // Nothing was done yet: no operation at all, unless it was one already.
      if (script === null && record.steps === 0 && record.finished.length === 0) throw error
      await this.#recover(script)
      await world.close()
      report(before + world.heldMs)
      this.#end('failed', { heldMs: before + Math.round(world.heldMs), detail: reasonOf(error) })
      throw error instanceof RouterError ? error : new RouterError('58000', reasonOf(error), { origin: 'router' })
    }
  }

  /** Counts the clients of the shards that this is about; to be called again when it is over. */
  #census(request: OperationRequest): (heldMs: number) => void {
    const event = reportedAs(request)
    if (event === null) return () => {}
    const { memory, now, onReport } = this.#options
    const ids = new Set(this.#group(request).map(({ id }) => id))
    const census = new ClientCensus(memory, ids, now(), this.#earlier(request, ids))
    return (heldMs) => {
      this.#reportedAt = now()
      onReport(census.end(event, heldMs))
    }
  }

  /** What was lost with a primary before that was certain. */
  #earlier(request: OperationRequest, shards: ReadonlySet<number>): EarlierLosses | null {
    if (request.kind !== 'failover') return null
    const { monitor, losses, now } = this.#options
    const reports = monitor.reports().filter(({ shard, health }) => shards.has(shard) && health === 'down')
    const seenAt = Math.min(now(), ...reports.map(({ since }) => since))
    return losses.since(Math.max(this.#reportedAt, seenAt - SOONER_MS), shards)
  }

  async #walk({ steps, decided }: OperationScript, world: LiveWorld, before: number): Promise<void> {
    this.#note({ steps: steps.length, ...(decided === undefined ? {} : { request: decided }) })
    const interruption = untilAborted(world.signal)
    for (const [index, step] of steps.entries()) {
      this.#note({ step: step.text, done: index, heldMs: before + Math.round(world.heldMs) })
      await Promise.race([step.run(), interruption])
    }
    this.#note({ done: steps.length })
  }

  async #recover(script: OperationScript | null): Promise<void> {
    try {
      await script?.recover?.()
    } catch (error) {
      this.#say(`Not put right: ${reasonOf(error)}`)
    }
  }

  #note(changes: Partial<OperationRecord>): void {
    if (this.#current === null) return
    this.#current = { ...this.#current, ...changes }
    this.#options.journal.record(this.#current)
    if (changes.step !== undefined && changes.step !== '') {
      const { id, request } = this.#current
      this.#options.log.info({ operation: id }, `${requestText(request)}: ${changes.step}`)
    }
  }

  #noteDrained(shard: string, drained: boolean): void {
    const { journal } = this.#options
    const others = journal.state.drained.filter((name) => name !== shard)
    journal.drained(drained ? [...others, shard] : others)
  }

  #say(message: string): void {
    this.#options.log.warn({ operation: this.#current?.id }, message)
    const before = this.#current?.detail ?? ''
    this.#note({ detail: before === '' ? message : `${before} ${message}` })
  }

  #end(state: 'done' | 'failed', changes: Partial<OperationRecord>): OperationRecord {
    const before = this.#current as OperationRecord
    const detail = [before.detail, changes.detail ?? ''].filter((text) => text !== '').join(' ')
    this.#note({ ...changes, state, detail, endedAt: this.#options.wallClock() })
    const record = this.#current as OperationRecord
    const fields = { heldMs: record.heldMs }
    const text = requestText(record.request)
    if (state === 'done') this.#publish(record, `${text} is done`, '', fields)
    else this.#publish(record, `${text} failed`, detail, { ...fields, step: record.step })
    return record
  }

  #publish({ id, request, state }: OperationRecord, what: string, reason: string, fields: object): void {
    this.#options.events.publish({
      kind: eventKindOf(request),
      level: state === 'failed' ? 'error' : 'info',
      shard: 'shard' in request ? request.shard : null,
      what,
      reason,
      fields: { operation: id, ...fields },
    })
  }
}

const idleHooks = {
  finished: [],
  onFinished: () => {},
  onDrained: () => {},
  onSay: () => {},
  signal: new AbortController().signal,
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
