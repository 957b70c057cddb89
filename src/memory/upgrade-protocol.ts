/**
 * What an upgrade is spoken about in: by a new version that is asked whether it could take over, and between
 * `switchyard upgrade` and the keeper, one JSON object per line over `<run directory>/keeper.sock`.
 */

/** The line that `switchyard upgrade-check` writes: which version this is, and why it cannot take over. */
export interface ProgramAnswer {
  readonly switchyard: string
  /** A sentence, or null. */
  readonly problem: string | null
  /** Its planes know AHEAD; versions of before that do not say. */
  readonly takesAhead: boolean
}

/** `switchyard upgrade` → keeper. */
export interface UpgradeRequest {
  readonly op: 'upgrade'
  /** Absolute path of the program that is to take over; null: the one that the router was started with, as it is on disk now. */
  readonly program: string | null
  /** The keeper as well, once the others are. */
  readonly keeper: boolean
}

/** Keeper → `switchyard upgrade`. The last one is not `progress`. */
export type UpgradeNews =
  | { readonly op: 'progress'; readonly text: string }
  /** Nothing has happened. */
  | { readonly op: 'refused'; readonly text: string }
  /** It could not be carried through; `text` says what runs now. */
  | { readonly op: 'failed'; readonly text: string }
  | { readonly op: 'done'; readonly text: string }

/** The socket of `UpgradeRequest`, in the run directory. */
export const KEEPER_SOCKET = 'keeper.sock'
