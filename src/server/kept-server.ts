import type { OwnedFd } from '../io/owned-fd.ts'

/** A server connection that another process has had. */
export interface KeptServer {
  readonly fd: OwnedFd
  /** The i32 of the server slots where its section begins. */
  readonly section: number
}
