/**
 * What keeper and control say to each other: one JSON object per line over a Unix stream, which control has as
 * descriptor 3 from its birth. Its end is the death of the other one.
 */

/** A place where clients connect. */
export type ListeningPlace =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/**
 * - drain: refuse new clients, finish transactions, at the drain deadline close the rest.
 * - wait-for-servers: the same without a deadline.
 * - wait-for-clients: refuse new clients, the present ones stay for as long as they like.
 * - immediate: close everything now.
 */
export type StopMode = 'drain' | 'wait-for-servers' | 'wait-for-clients' | 'immediate'

/** The first line. */
export interface StartOrder {
  readonly op: 'start'
  /** As the operator named it; null: the embedded cluster. */
  readonly configFile: string | null
  readonly dataDirectory: string
  readonly runDirectory: string
  readonly keepShards: boolean
  readonly listening: readonly ListeningPlace[]
  /** Monotonic milliseconds at which the router started. */
  readonly startedAt: number
  /** False when an earlier control process of this router has died. */
  readonly first: boolean
  /** See `upgrade-status`. */
  readonly upgradeStatus: string
}

/** What may come at any time. */
export type StandingOrder =
  | { readonly op: 'reload' }
  /** Exit, and leave everything as it is: a successor waits. */
  | { readonly op: 'leave' }
  /** What became of the wish for an upgrade of this id; null: it has begun. */
  | { readonly op: 'upgrade-answer'; readonly id: number; readonly refused: string | null }
  /** How the upgrade goes that is under way, or how the last one went, for people. */
  | { readonly op: 'upgrade-status'; readonly text: string }
  | { readonly op: 'stop'; readonly mode: StopMode; readonly reason: string }

/** Keeper → control. */
export type KeeperOrder = StartOrder | StandingOrder

/** Control → keeper. */
export type ControlReport =
  /** The router answers clients. */
  | { readonly op: 'ready' }
  /** Somebody asked for a shutdown at the console: the keeper decides, and answers with `stop`. */
  | { readonly op: 'stop-please'; readonly mode: StopMode; readonly reason: string }
  /**
   * Somebody wants everything taken over by the program at this path; null: by what the router was started from, as it is on
   * disk now. Answered with `upgrade-answer`.
   */
  | { readonly op: 'upgrade'; readonly id: number; readonly program: string | null }
  /** Stopping takes at most so long; null: nobody knows. */
  | { readonly op: 'stopping'; readonly deadlineMs: number | null }
  /** Clients are drained, and planes are told to exit: their ends are wanted from now on. */
  | { readonly op: 'planes-exit' }
  /** Everything is drained and stopped, or cannot start at all: the keeper may end the planes and exit with this code. */
  | { readonly op: 'exit'; readonly code: number }

/** No line is longer; a peer that sends one is broken. */
const MAX_LINE_CHARACTERS = 1 << 20

/** One message as a line, which `LineDecoder` takes apart. */
export function encodeLine(message: KeeperOrder | ControlReport): string {
  return `${JSON.stringify(message)}\n`
}

/** Cuts a stream of text into lines and parses each. The peer is another process of the same router and trusted. */
export class LineDecoder<T> {
  #rest = ''

  /** The messages that `chunk` completes. Throws when a line is no JSON or too long. */
  push(chunk: string): readonly T[] {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > MAX_LINE_CHARACTERS) throw new Error('keeper and control: a line without an end')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T)
  }
}
