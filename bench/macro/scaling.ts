import { setTimeout as delay } from 'node:timers/promises'
import { ContinuityBed } from '../../test/support/continuity-bed.ts'
import { ReadLoad } from '../../test/support/read-load.ts'
import { ScalingBed } from '../../test/support/scaling-bed.ts'
import { waitUntil } from '../../test/support/wait-until.ts'
import type { Bench } from './bench-environment.ts'
import { significant } from './statistics.ts'
import { formatTable } from './text-table.ts'

export interface ScalingOptions {
  /** Clients of the overload. */
  readonly clients: number
  /** How long the load is calm, and how long it goes on with the new shard, in seconds. */
  readonly seconds: number
}

/** Transactions that each shard may have at once, so that the overload is one of slots, not of this machine. */
const SLOTS = 4
const CALM_CLIENTS = 2
const SUSTAIN_S = 3
const IDLE_S = 5
const PATIENCE_MS = 60_000
const SETTINGS = {
  routing: { reads: 'replicas', slow_start: '3s' },
  log: { level: 'info' },
  scaling: {
    ...{ mode: 'auto', max_shards: 3, medium: '10ms', high: 0 },
    ...{ sustain: `${SUSTAIN_S}s`, idle: `${IDLE_S}s`, cooldown_out: '1s', cooldown_in: `${IDLE_S}s` },
  },
}

/**
 * A primary and a replica whose reads become too many from one moment to the next: how long it takes until a shard is wanted, made
 * and in use, how long until it is gone again when they are few, and what the clients noticed of it.
 */
export async function scaling(bench: Bench, options: ScalingOptions): Promise<Record<string, unknown>> {
  const bed = await ContinuityBed.start(SETTINGS, { replicas: 1, isDurable: true, shard: { slots: SLOTS } })
  bench.cleanup.add(
    'the cluster',
    () => bed.close(),
    () => {},
  )
  try {
    return report(await measured(bed, options))
  } catch (error) {
    console.error(`the end of the router's log:\n${bed.router.tail(60)}`)
    throw error
  }
}

/** Seconds from the step to each of these, but for `gone`, which is from its end. */
interface Outcome {
  readonly wanted: number
  readonly up: number
  readonly serving: number
  readonly idle: number
  readonly gone: number
  /** At p99 in the second before a shard was added, and in the last one of the overload. */
  readonly waitMs: { readonly before: string; readonly after: string }
  readonly reads: number
  readonly errors: number
}

async function measured(bed: ContinuityBed, { clients, seconds }: ScalingOptions): Promise<Outcome> {
  const look = new ScalingBed(bed)
  const until = async (what: string, isSo: () => Promise<boolean>, since: number): Promise<number> => {
    await waitUntil(what, isSo, { timeoutMs: PATIENCE_MS, everyMs: 20 })
    return (performance.now() - since) / 1000
  }
  const asked = async (text: string): Promise<boolean> => (await look.operation()).operation === text
  const waits = async (): Promise<string> => (await look.ask('SHOW SCALING'))[0]?.waits ?? ''
  const calm = await ReadLoad.start(bed.router, bed.login, { clients: CALM_CLIENTS })
  await delay(seconds * 1000)
  console.error(`${clients} clients instead of ${CALM_CLIENTS}`)
  const began = performance.now()
  const overload = await ReadLoad.start(bed.router, bed.login, { clients })
  const wanted = await until('a shard to be wanted', () => asked('SCALE OUT main'), began)
  const before = await waits()
  const isUp = async (): Promise<boolean> => (await look.names()) === 'shard-1,shard-2,shard-3'
  const up = await until('it to be up', isUp, began)
  const serving = await until('reads to go there', async () => (await look.reads('shard-3')) > 0, began)
  await delay(seconds * 1000)
  const after = await waits()
  const over = await overload.stop()
  const ended = performance.now()
  console.error('and back')
  const idle = await until('it to be wanted no more', () => asked('SCALE IN shard-3'), ended)
  const isGone = async (): Promise<boolean> => (await look.operation()).state === 'done'
  const gone = await until('it to be gone', isGone, ended)
  const rest = await calm.stop()
  const errors = over.errors.length + rest.errors.length
  return { wanted, up, serving, idle, gone, waitMs: { before, after }, reads: over.reads + rest.reads, errors }
}

function report(outcome: Outcome): Record<string, unknown> {
  const { wanted, up, serving, idle, gone, waitMs, reads, errors } = outcome
  const rows = [
    ['a shard is wanted', wanted],
    ['it is made, has caught up, and planes know it', up],
    ['the first read ran there', serving],
    ['the load is over: it is not needed any more', idle],
    ['it is drained, stopped and removed', gone],
  ] as const
  const shown = rows.map(([what, value]) => [what, (significant(value, 3) ?? 0).toString()])
  console.log(formatTable(['', 'seconds'], shown, { leftColumns: 1 }))
  return {
    wanted_seconds: significant(wanted, 3),
    made_seconds: significant(up - wanted, 3),
    serving_seconds: significant(serving, 3),
    unneeded_seconds: significant(idle, 3),
    gone_seconds: significant(gone, 3),
    sustain_seconds: SUSTAIN_S,
    idle_seconds: IDLE_S,
    waits_before: waitMs.before,
    waits_after: waitMs.after,
    reads,
    errors,
  }
}
