import { join } from 'node:path'

/*
 * What is in the run directory of a router, beside control's sockets: how its processes find each other again.
 */

/** The channel listener where planes whose keeper has died find the next one. */
export const planesSocket = (runDirectory: string): string => join(runDirectory, 'planes.sock')

/** Locked for as long as a plane of this router lives. */
export const planesLock = (runDirectory: string): string => join(runDirectory, 'planes.lock')

/** A `RestartCommand` as JSON; missing when somebody else starts the keeper. */
export const restartFile = (runDirectory: string): string => join(runDirectory, 'restart.json')

/** What starts a keeper that takes over from one that has died. */
export interface RestartCommand {
  readonly command: readonly [string, ...string[]]
  readonly directory: string
}
