import type { SuccessorState } from './plane-successor.ts'
import type { Program } from './program.ts'
import type { ChildState } from './supervised-child.ts'

/** A process boots in a fraction of this; where it does not, nothing has happened yet. */
const BOOT_MS = 30_000
/** The process that is to follow is given connections ahead in a fraction of this; what it has not got then follows later. */
const AHEAD_MS = 5_000
/** Who has just booted has code in the hands of its compiler's threads, and the processors are better left to whoever serves. */
const CALM_MS = 300
/** What a plane needs to finish one wake-up. */
const RELEASE_MS = 2_000
/** Its successor gets its values from control in a fraction of this; clients wait meanwhile. */
const SERVE_MS = 5_000
/** Where the successor failed, for one of the version before. */
const RECOVERY_MS = 30_000

/** A plane with a standby, as far as a replacement needs it. */
export interface Replaceable {
  readonly name: string
  readonly activeState: ChildState
  /** Of the process that `prepare` started last; null: it never did. */
  readonly successorState: SuccessorState | null
  /** Boots a process of `program` beside the active one and its standby. */
  prepare(program: Program): void
  /** Gives the process that `prepare` started the clients of the active one ahead, which serves them meanwhile. */
  sendAhead(): void
  /** Ends the process that `prepare` started, unless it has the plane. */
  discard(): void
  /** Asks the active process to exit; the successor follows when it has. The standby stays, in case the successor fails. */
  release(): void
  killActive(): void
  /** `program` is the plane's from now on: standbys are started from it. */
  adopt(program: Program): void
  /** Resolves when `isSo`, which is asked after each change, or after `patienceMs`; says whether it is so then. */
  until(isSo: () => boolean, patienceMs: number): Promise<boolean>
}

export type Replacement =
  | { readonly replaced: true }
  /** `reason` is a sentence; what runs now is what ran before, unless it says otherwise. */
  | { readonly replaced: false; readonly reason: string }

/**
 * Gives a plane's work to a process of `program`: it boots beside the active one, which exits only when the new one waits; one
 * that `takesAhead` has most clients' descriptors by then.
 * Nothing has happened when the new one does not come up. When it comes up and then does not serve, the standby of the
 * version before takes the plane.
 */
export async function replacePlane(plane: Replaceable, program: Program, takesAhead: boolean): Promise<Replacement> {
  const { name } = plane
  const refused = (reason: string): Replacement => {
    plane.discard()
    return { replaced: false, reason: `${name} was not replaced: ${reason}` }
  }
  const state = (): ChildState => plane.activeState
  const successor = (): SuccessorState | null => plane.successorState
  // It may have been replaced for another reason a moment ago.
  await plane.until(() => state() === 'running', SERVE_MS)
  if (state() !== 'running') return { replaced: false, reason: `${name} was not replaced: it is ${state()}.` }
  plane.prepare(program)
  await plane.until(() => successor() !== 'booting' || state() !== 'running', BOOT_MS)
  if (state() !== 'running') return refused('it died meanwhile, and has a successor because of that.')
  if (successor() !== 'booted') return refused('the process that should take over did not come up.')
  if (takesAhead) {
    plane.sendAhead()
    await plane.until(() => successor() !== 'preparing' || state() !== 'running', AHEAD_MS)
  }
  await plane.until(() => state() !== 'running' || successor() === 'gone', CALM_MS)
  if (state() !== 'running') return refused('it died meanwhile, and has a successor because of that.')
  if (successor() === 'gone') return refused('the process that should take over has ended.')
  plane.release()
  const isReleased = await plane.until(() => state() !== 'releasing', RELEASE_MS)
  if (!isReleased) plane.killActive()
  await plane.until(() => successor() === 'serving' || successor() === 'gone', SERVE_MS)
  if (successor() === 'serving') {
    plane.adopt(program)
    // Whoever is told that it is done does something now, on the same processors.
    await plane.until(() => state() !== 'running', CALM_MS)
    return { replaced: true }
  }
  if (successor() === 'activated') plane.killActive()
  await plane.until(() => successor() === 'gone', RELEASE_MS)
  const isBack = await plane.until(() => state() === 'running', RECOVERY_MS)
  const outcome = isBack ? 'one of the version before serves again.' : 'none of the version before serves yet.'
  return refused(`the process that took over did not serve; ${outcome}`)
}
