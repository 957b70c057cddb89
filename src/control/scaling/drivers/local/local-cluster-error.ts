/** A local cluster could not be brought up, cloned or stopped: full sentences for the operator, the cause for the log. */
export class LocalClusterError extends Error {
  constructor(message: string, options?: { cause: unknown }) {
    super(message, options)
    this.name = 'LocalClusterError'
  }
}

/** What is thrown, as text: messages of ours and Node's are sentences already. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a system error (`ENOENT`, `EACCES`), or undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
