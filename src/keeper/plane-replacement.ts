import type { ChildState } from './supervised-child.ts'

/** A process boots in a fraction of this; where it does not, nothing has happened yet. */
const BOOT_MS = 30_000
/** What a plane needs to finish one wake-up. */
const RELEASE_MS = 2_000
/** Its successor gets its values from control in a fraction of this. */
const SERVE_MS = 30_000

/** A plane with a standby, as far as a replacement needs it. */
export interface Replaceable {
  readonly name: string
  readonly activeState: ChildState
  readonly standbyState: ChildState
  /** Starts a new standby in place of the one there is, which may be of an older version. */
  renewStandby(): void
  /** Asks the active process to exit; its standby follows when it has. */
  release(): void
  killActive(): void
  /** Resolves when `isSo`, which is asked after each change, or after `patienceMs`; says whether it is so then. */
  until(isSo: () => boolean, patienceMs: number): Promise<boolean>
}

export type Replacement =
  | { readonly replaced: true }
  /** `reason` is a sentence; what runs now is what ran before, unless it says otherwise. */
  | { readonly replaced: false; readonly reason: string }

/**
 * Gives a plane's work to a process that is started for that purpose: it boots beside the active one, which exits only when
 * the new one waits. Nothing has happened when the new one does not come up.
 */
export async function replacePlane(plane: Replaceable): Promise<Replacement> {
  const { name } = plane
  const refused = (reason: string): Replacement => ({ replaced: false, reason: `${name} was not replaced: ${reason}` })
  const state = (): ChildState => plane.activeState
  if (state() !== 'running') return refused(`it is ${state()}.`)
  plane.renewStandby()
  await plane.until(() => plane.standbyState !== 'starting' || state() !== 'running', BOOT_MS)
  if (state() !== 'running') return refused('it died meanwhile, and has a successor because of that.')
  if (plane.standbyState !== 'running') return refused('the process that should take over did not come up.')
  plane.release()
  const isReleased = await plane.until(() => state() !== 'releasing', RELEASE_MS)
  if (!isReleased) plane.killActive()
  await plane.until(() => state() === 'running' || state() === 'ended', SERVE_MS)
  if (state() !== 'running') return refused('it has exited, and its successor does not serve yet.')
  return { replaced: true }
}
