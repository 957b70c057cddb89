/**
 * What control and plane say to each other: JSON frames behind a four-byte big-endian length, over a Unix stream that
 * the plane dials (`<run directory>/control.sock`). A plane that has lost control goes on with the values it has and dials again.
 */

import type { DatabaseFunctions } from '../shard/database-functions.ts'
import type { ModelValue } from '../shard/model-value.ts'
import type { PlaneValues, UserValue } from '../shard/plane-values.ts'
import type { Topology } from '../shard/topology.ts'
import type { DroppedClient, OutcomeBatch, PreservationSummary } from './preservation.ts'

/**
 * What a plane waits for before it ends a client.
 *
 * - transactions: idle clients are told at once, the others when their transaction is over.
 * - clients: until they leave by themselves, but for those of the console, who go last.
 */
export type DrainPatience = 'transactions' | 'clients'

/** Control → plane. Every command with an `id` is answered with one `done`. */
export type PlaneCommand =
  | { readonly op: 'values'; readonly values: PlaneValues }
  | { readonly op: 'topology'; readonly topology: Topology }
  /** The tier model to ask from now on; null: none. */
  | { readonly op: 'model'; readonly model: ModelValue | null }
  | {
      readonly op: 'account'
      readonly user: string
      /** Null: no such user, or an error. */
      readonly account: UserValue | null
      readonly error: string | null
    }
  /** Answers the question with this token; null: nobody knows, for now. */
  | {
      readonly op: 'functions'
      readonly group: string
      readonly database: string
      readonly token: number
      readonly functions: DatabaseFunctions | 'unchanged' | null
    }
  /** These shards are held and no others: ends what an earlier control process began. */
  | { readonly op: 'holds'; readonly shards: readonly number[] }
  | { readonly op: 'exit' }
  | PlaneOrder

/** Control → plane: what is answered with `done` and this `id`. */
export type PlaneOrder =
  /** Answered when no server connection of the database (null: of any) is in use. */
  | { readonly op: 'pause'; readonly id: number; readonly database: string | null }
  | { readonly op: 'resume'; readonly id: number; readonly database: string | null }
  /** Server connections are closed as they become free. */
  | { readonly op: 'reconnect'; readonly id: number; readonly database: string | null }
  /** Clients and servers of the database are closed at once, and new clients wait until RESUME. */
  | { readonly op: 'kill'; readonly id: number; readonly database: string | null }
  /**
   * Nobody gets a server connection to the shard until `release`. Answered when no transaction runs there any more, or at
   * the deadline, with every server connection to it closed: whoever still had one is told that it is lost.
   */
  | { readonly op: 'hold'; readonly id: number; readonly shard: number; readonly deadlineMs: number }
  | { readonly op: 'release'; readonly id: number; readonly shard: number }
  /**
   * Of the transactions on the shard that certainly only read, one that has run for longer is cancelled: the longest of the
   * first tier (code) that has one. An error: there is none.
   */
  | {
      readonly op: 'cancel-read'
      readonly id: number
      readonly shard: number
      readonly tiers: readonly number[]
      readonly longerThanMs: number
    }
  | { readonly op: 'kill-client'; readonly id: number; readonly client: number; readonly generation: number }
  /** Refuse new clients, let the present ones go; answered when none is left or the deadline passed (null: none). */
  | {
      readonly op: 'drain'
      readonly id: number
      readonly awaited: DrainPatience
      readonly deadlineMs: number | null
    }

/** Plane → control. */
export type PlaneEvent =
  | {
      readonly op: 'hello'
      readonly plane: number
      readonly pid: number
      readonly valuesVersion: number
      readonly topologyVersion: number
      /** SHA-256 of the tier model that it asks; null: none. Absent where the plane is of an older version. */
      readonly model?: string | null
    }
  | { readonly op: 'done'; readonly id: number; readonly error: string | null }
  | {
      readonly op: 'log'
      readonly level: 'debug' | 'info' | 'warn' | 'error'
      readonly message: string
      readonly fields: Readonly<Record<string, unknown>>
    }
  /** Look this user up (auth_query) and answer with `account`. */
  | { readonly op: 'account'; readonly user: string; readonly database: string }
  /**
   * Which relations of the database on the shards of the group lead to functions that may do anything, and, `withNames`, which
   * functions are harmless? `known`: the version that the plane has.
   */
  | {
      readonly op: 'functions'
      readonly group: string
      readonly database: string
      readonly token: number
      readonly known: string | null
      readonly withNames: boolean
    }
  /** What was found of this user did not let it in: forget it, and look anew. */
  | { readonly op: 'account-refused'; readonly user: string; readonly database: string }
  /** This plane took over from a process before it. Who it concerns follows in any number of `preserved-clients`. */
  | { readonly op: 'preserved'; readonly summary: PreservationSummary }
  | { readonly op: 'preserved-clients'; readonly plane: number; readonly beganAt: number; readonly batch: OutcomeBatch }
  /** A client has ended, because state of its session was on a server connection to this shard that died. */
  | { readonly op: 'client-lost'; readonly shard: number; readonly client: DroppedClient }
  /** A transaction that may have written is over in this group: reads may wait for its replicas to have it. */
  | { readonly op: 'wrote'; readonly group: string }
  /** The shard behaved unlike the topology says: probe it now. */
  | { readonly op: 'suspect'; readonly shard: number; readonly reason: string }
