import type { NativeBuffer } from '../io/native.ts'
import type { Region } from '../memory/region.ts'
import { loadRecord, readShardLoad, SHARD_LOAD_F64, type ShardLoadView } from '../memory/shard-records.ts'
import { FRONTEND, HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import { Freshness } from '../router/freshness.ts'
import { type ReadDemand, ReadRouter } from '../router/read-route.ts'
import type { Candidate } from '../router/replica-choice.ts'
import { type GroupPlan, placesOf, reachesReplicas } from '../router/route-table.ts'
import { LONGEST_ATTEMPT_BYTES } from '../server/read-attempt.ts'
import type { ServerTarget } from '../server/server-target.ts'
import type { Consistency, Policy, TierRule } from '../shard/policy.ts'
import { ReadScan } from '../sql/read-scan.ts'
import { FACT } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { FunctionCatalogues } from './function-catalogues.ts'
import type { PoolChoice } from './pool-choice.ts'
import type { StatementBook } from './statement-book.ts'

/** Control is told of writes, so that it looks at replicas at once, but not more often than this. */
const TELL_MS = 16
/** Texts that turned out to be no reads; past this many, all are forgotten. */
const REMEMBERED = 4096
const PORTAL = 0x50
/** More messages in one request may not fit into the reply queue. */
const MOST_MESSAGES = 32

/** SET is harmless where nothing but reads can follow in its transaction. */
const IN_READ_ONLY = FACT.several | FACT.sets

/** Whose request it is. */
export interface Asker {
  /** Null: it has no prepared statements. */
  readonly book: StatementBook | null
  /** Where it would run otherwise; null: nowhere, for now. */
  readonly target: ServerTarget | null
  /** It is the first of a transaction that says READ ONLY. */
  readonly isReadOnly: boolean
}

/** What routing reads needs of its plane. */
export interface ReadHost {
  readonly catalogues: FunctionCatalogues
  readonly planeIndex: number
  readonly now: number
  readonly clients: Region
  readonly facts: StatementFacts
  /** The operator's rule that holds for the client in this slot; null: none does. */
  ruleOf(slot: number): TierRule | null
  /** Tells control that somebody has written in the group. */
  wrote(group: string): void
}

/** The clock of now, not of the wake-up: what happened since must not look older than it is. Monotonic milliseconds. */
type Clock = () => number

/** Which requests are reads, and where those of a session may run. One per plane, shared by all sessions. */
export class ReadRouting {
  readonly router: ReadRouter
  readonly #host: ReadHost
  readonly #clock: Clock
  readonly #records: Region
  readonly #scan = new ReadScan()
  readonly #refused = new Set<number>()
  #dependsOnFunctions = false
  /** The last request that was a read has a query in it, which takes a snapshot. */
  isQuery = false
  /** By client slot: when it was through with a transaction that may have written, and when it saw something last. */
  readonly #wroteAt: Float64Array
  readonly #sawAt: Float64Array
  #policy: Policy
  readonly #demand = {
    tier: 0,
    rule: null as TierRule | null,
    consistency: 'session' as Consistency,
    causality: { wroteAt: 0, sawAt: 0, sawOn: -1 },
  }

  /** `records`: of all shards. */
  constructor(host: ReadHost, records: Region, clock: Clock, random: () => number, policy: Policy) {
    this.#host = host
    this.#clock = clock
    this.#records = records
    // What was before this process counts as written by everybody.
    this.#wroteAt = new Float64Array(host.clients.count).fill(clock())
    this.#sawAt = new Float64Array(host.clients.count)
    this.#policy = policy
    this.router = new ReadRouter(new Freshness(records), random, policy.routing)
  }

  configure(policy: Policy): void {
    this.#policy = policy
    this.router.routing = policy.routing
  }

  /**
   * Whether `source[at, end)` is one request that certainly only reads, and nothing else: a simple query, or an extended one
   * from its first message to its Sync, that prepares nothing under a name.
   */
  isRead(source: NativeBuffer, at: number, end: number, by: Asker): boolean {
    const { bytes } = source
    this.isQuery = false
    if (end - at > LONGEST_ATTEMPT_BYTES) return false
    if (bytes[at] === FRONTEND.query) {
      return at + 1 + lengthAt(bytes, at + 1) === end && this.#isReadText(bytes, at + HEADER_BYTES, end - 1, by)
    }
    let isParsed = false
    let start = at
    for (let count = 0; count < MOST_MESSAGES && start + HEADER_BYTES <= end; count++) {
      const stop = start + 1 + lengthAt(bytes, start + 1)
      if (stop > end) return false
      switch (bytes[start]) {
        case FRONTEND.sync:
          return stop === end
        case FRONTEND.parse: {
          const textEnd = bytes.indexOf(0, start + HEADER_BYTES + 1)
          if (bytes[start + HEADER_BYTES] !== 0 || textEnd < 0 || textEnd >= stop) return false
          if (!this.#isReadText(bytes, start + HEADER_BYTES + 1, textEnd, by)) return false
          isParsed = true
          break
        }
        case FRONTEND.bind:
          if (!this.#bindsRead(bytes, start, stop, isParsed, by)) return false
          break
        case FRONTEND.describe:
        case FRONTEND.execute:
          break
        case FRONTEND.close:
          if (bytes[start + HEADER_BYTES] !== PORTAL) return false
          break
        default:
          return false
      }
      start = stop
    }
    return false
  }

  #bindsRead(bytes: Buffer, at: number, stop: number, isParsed: boolean, by: Asker): boolean {
    const portalEnd = bytes.indexOf(0, at + HEADER_BYTES)
    const nameEnd = portalEnd < 0 ? -1 : bytes.indexOf(0, portalEnd + 1)
    if (nameEnd < 0 || nameEnd >= stop) return false
    if (nameEnd === portalEnd + 1) return isParsed
    const statement = by.book?.get(bytes.toString('utf8', portalEnd + 1, nameEnd))
    if (statement === undefined || statement.isLong || statement.reads === false) return false
    // What is called unseen may change as well.
    const { isWatching } = this.#host.catalogues
    if (statement.reads === true && !isWatching) {
      this.isQuery = true
      return true
    }
    const reads = this.#isReadText(statement.tail, 0, statement.tail.indexOf(0), by)
    // What functions do may change, and what READ ONLY allows depends on the transaction.
    if (!this.#dependsOnFunctions && !by.isReadOnly && !isWatching) statement.reads = reads
    return reads
  }

  #isReadText(bytes: Buffer, start: number, end: number, { target, isReadOnly }: Asker): boolean {
    this.#dependsOnFunctions = false
    const isQuery = this.#scan.isRead(bytes, start, end)
    if (!isQuery && !(isReadOnly && this.#scan.isRead(bytes, start, end, true))) return false
    this.isQuery ||= isQuery
    if (this.#refused.size > 0 && this.#refused.has(hashOf(bytes, start, end))) return false
    const { facts, catalogues, now } = this.#host
    facts.read(bytes, start, end)
    if ((facts.flags & ~(isReadOnly ? IN_READ_ONLY : FACT.several)) !== 0) return false
    if (catalogues.isWatching && target !== null && catalogues.mayLeave(target, now, bytes, start, end)) return false
    if (facts.pins === 0) return true
    this.#dependsOnFunctions = facts.calls !== null
    return facts.calls !== null && target !== null && catalogues.onlyRead(facts.calls, target, now)
  }

  /** What `request` asked for cannot be had from a replica: it is not tried again. */
  refuse(request: Buffer, book: StatementBook | null): void {
    if (this.#refused.size >= REMEMBERED) this.#refused.clear()
    for (let at = 0; at + HEADER_BYTES <= request.length; at += 1 + lengthAt(request, at + 1)) {
      const start = at + HEADER_BYTES
      const type = request[at]
      if (type === FRONTEND.query || type === FRONTEND.parse) {
        const from = type === FRONTEND.parse ? start + 1 : start
        this.#refused.add(hashOf(request, from, request.indexOf(0, from)))
      } else if (type === FRONTEND.bind) {
        const nameAt = request.indexOf(0, start) + 1
        const statement = book?.get(request.toString('utf8', nameAt, request.indexOf(0, nameAt)))
        if (statement !== undefined) statement.reads = false
      }
    }
  }

  /** Where the session in `slot` reads next: a shard of its group; null: on the primary. `sawOn`: shard id of its last pool. */
  choose(choice: PoolChoice, slot: number, tier: number, sawOn: number): Candidate | null {
    const plan = choice.plan()
    if (plan === null || !this.mayLeave(plan, slot, tier)) return null
    return this.router.choose(plan, this.demandOf(choice, slot, tier, sawOn), this.#host.now, choice)
  }

  /** The answer was the primary: whether a replica may do in a moment that is worth the wait. `since`: of its wait, 0: none yet. */
  mayWait(choice: PoolChoice, slot: number, tier: number, sawOn: number, since: number): boolean {
    const { replicaWaitMs } = this.router.routing
    const { now } = this.#host
    const plan = choice.plan()
    if (replicaWaitMs === 0 || plan === null || (since !== 0 && now - since >= replicaWaitMs)) return false
    return this.router.isWorthWaiting(plan, this.demandOf(choice, slot, tier, sawOn), now, choice)
  }

  /** What a read of this session asks for; to be used at once. Without `choice` its identity is not looked at. */
  demandOf(choice: PoolChoice | null, slot: number, tier: number, sawOn: number): ReadDemand {
    const demand = this.#demand
    const rule = this.#host.ruleOf(slot)
    const consistency = rule?.consistency ?? this.#policy.tiers[tier]?.consistency ?? 'strong'
    demand.tier = tier
    demand.rule = rule
    demand.consistency = consistency
    const own = this.#wroteAt[slot] ?? 0
    demand.causality.wroteAt = consistency === 'identity' && choice !== null ? Math.max(own, choice.wroteAt) : own
    demand.causality.sawAt = this.#sawAt[slot] ?? 0
    demand.causality.sawOn = sawOn
    return demand
  }

  /** Reads of the session in `slot` may run elsewhere than on the primary. */
  mayLeave(plan: GroupPlan, slot: number, tier: number): boolean {
    if (plan.rules.size > 0) return this.#mayLeaveBy(this.#host.ruleOf(slot), plan, tier)
    const { reachesReplicas = false, mayLeave = false } = plan.tiers[tier] ?? {}
    if (!reachesReplicas) return false
    const consistency = this.#host.ruleOf(slot)?.consistency ?? null
    return consistency === null ? mayLeave : consistency !== 'strong'
  }

  /** The same where some rules name pools. */
  #mayLeaveBy(rule: TierRule | null, plan: GroupPlan, tier: number): boolean {
    const consistency = rule?.consistency ?? this.#policy.tiers[tier]?.consistency ?? 'strong'
    return consistency !== 'strong' && placesOf(plan, tier, rule)?.reachesReplicas === true
  }

  /** A transaction of the session in `slot` is over. `replica`: the id of the shard it ran on, −1: it was the primary. */
  transactionEnds(choice: PoolChoice, slot: number, mayHaveWritten: boolean, replica: number): void {
    const plan = choice.plan()
    if (replica >= 0) this.#add(replica, SHARD_LOAD_F64.replicaReads)
    if (plan === null || !reachesReplicas(plan)) return
    const at = this.#clock()
    const { planeIndex } = this.#host
    this.#sawAt[slot] = at
    if (!mayHaveWritten) return
    this.#wroteAt[slot] = at
    choice.wroteAt = at
    plan.wroteAt = at
    if (at - plan.toldAt >= TELL_MS) {
      plan.toldAt = at
      this.#host.wrote(plan.group)
    }
    const record = plan.primary === null ? -1 : loadRecord(planeIndex, plan.primary.id)
    if (record >= 0) this.#records.f64[record * (this.#records.recordBytes >> 3) + SHARD_LOAD_F64.wroteAt] = at
  }

  /** The slots of a shard, as this plane knows them; null: it never had to do with it. */
  loadAt(shard: number): ShardLoadView | null {
    return readShardLoad(this.#records, this.#host.planeIndex, shard)
  }

  /** A read that was tried on this replica has to be done by the primary. */
  retried(shard: number): void {
    this.#add(shard, SHARD_LOAD_F64.retriedReads)
  }

  #add(shard: number, field: number): void {
    const record = loadRecord(this.#host.planeIndex, shard)
    if (record < 0) return
    const at = record * (this.#records.recordBytes >> 3) + field
    this.#records.f64[at] = (this.#records.f64[at] ?? 0) + 1
  }
}

/** FNV-1a, 32 bits. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
  return hash
}
