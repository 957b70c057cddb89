import type { ServerConnection } from './server-connection.ts'

/** Who sees to it that backends of low tiers do not take the processors from others. */
export interface CpuWatch {
  /**
   * A client of this tier has got the server connection, of a server that runs under this router on its machine; `isAdopted`: it had
   * it already in another process.
   */
  given(server: ServerConnection, tier: number, isAdopted: boolean): void
  /** It has been let go of. */
  takenBack(server: ServerConnection): void
}
