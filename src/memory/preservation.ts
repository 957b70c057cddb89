/*
 * What a plane tells control of the clients that it took over: the shapes only, see `continuity/report.ts`.
 */

import type { LostWorkCounts } from './lost-work.ts'

/**
 * - upgrade: the process before was asked to go.
 * - plane-crash: it died.
 * - restart, switchover, patch, failover: an operation on the shards that a client used, see `control/operations`.
 */
export type PreservationEvent = 'upgrade' | 'plane-crash' | 'restart' | 'switchover' | 'patch' | 'failover'

/** Its slot may be somebody else's already, so everything that is known of it is here. */
export interface DroppedClient {
  readonly slot: number
  readonly generation: number
  readonly user: string
  readonly database: string
  readonly applicationName: string
  readonly address: string
  readonly remotePort: number
  /** A phrase: `it was leaving`. */
  readonly reason: string
  /** It got an error message, not just an end. */
  readonly told: boolean
}

/** Why a client ended whose session was pinned. */
export function stateOfItsOwn(pins: readonly string[]): string {
  return `its server connection had state of its own (${pins.join(', ')})`
}

/** What became of the clients of one plane at one event. */
export interface PreservationSummary {
  readonly event: PreservationEvent
  readonly plane: number
  readonly beganAt: number
  /** The longest that any client that was kept had to wait. */
  readonly stallMs: number
  readonly kept: number
  /** Of the kept ones: their state was taken from one server connection to another. */
  readonly relocated?: number
  readonly dropped: number
  /** Of the dropped ones. */
  readonly told: number
  /** How many were dropped, by the reason. */
  readonly reasons: Readonly<Record<string, number>>
  /** What became of work whose server connection was lost meanwhile; only of operations on shards. */
  readonly work?: LostWorkCounts
}

/** Outcomes in pieces that fit one message each: many of those that were kept, fewer of those with names. */
export type OutcomeBatch =
  /** Slot and generation in turn; the slots of those of them that were relocated. */
  | { readonly kept: readonly number[]; readonly relocated?: readonly number[]; readonly dropped?: undefined }
  | { readonly dropped: readonly DroppedClient[]; readonly kept?: undefined }
