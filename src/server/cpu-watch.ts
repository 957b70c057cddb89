import type { ServerConnection } from './server-connection.ts'

/** Who sees to it that backends of low tiers do not take the processors from others. */
export interface CpuWatch {
  /** Nothing has to be changed when this server connection is given to a client of this tier. */
  suits(server: ServerConnection, tier: number): boolean
  /**
   * A client of this tier has got the server connection, of a server that runs under this router on its machine; `isAdopted`: it had
   * it already in another process.
   */
  given(server: ServerConnection, tier: number, isAdopted: boolean): void
  /** It has been let go of. */
  takenBack(server: ServerConnection): void
}
