import type { Region } from '../memory/region.ts'
import { NO_ADMISSION, type PoolAdmission } from '../server/pool-admission.ts'
import { NO_POLICY, type Policy } from '../shard/policy.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import { type AdmissionHost, ShardAdmission } from './shard-admission.ts'

/** Admission to every shard, under one policy. */
export class ShardAdmissions {
  readonly #host: AdmissionHost
  readonly #records: Region
  readonly #byShard = new Map<number, ShardAdmission>()
  #policy: Policy = NO_POLICY

  /** `records`: of all shards. */
  constructor(host: AdmissionHost, records: Region) {
    this.#host = host
    this.#records = records
  }

  /** The one for this shard; the same for as long as the plane lives. */
  of(shard: Shard): PoolAdmission {
    // The console is no shard of anybody's.
    return shard.id < 0 ? NO_ADMISSION : this.#of(shard)
  }

  /** The work on this shard. */
  loadOf(shard: Shard): ShardAdmission {
    return this.#of(shard)
  }

  /** New rules, another number of slots, or other adjustments. */
  configure(policy: Policy, topology: Topology): void {
    this.#policy = policy
    for (const shard of topology.shards) this.#of(shard).configure(slotsOfShard(shard), policy, shard.adjustment)
  }

  #of(shard: Shard): ShardAdmission {
    const known = this.#byShard.get(shard.id)
    if (known !== undefined) return known
    const made = new ShardAdmission(this.#host, shard, this.#records)
    made.configure(slotsOfShard(shard), this.#policy, shard.adjustment)
    this.#byShard.set(shard.id, made)
    return made
  }
}

/** 0 connections are as many as one likes. */
function slotsOfShard({ slots, maxConnections }: Shard): number {
  return slots ?? (maxConnections === 0 ? 1_000_000 : maxConnections)
}
