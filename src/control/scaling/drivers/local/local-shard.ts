/** A server of the local cluster, as it runs. */
export interface LocalShard {
  readonly name: string
  readonly host: '127.0.0.1'
  readonly port: number
  readonly dataDirectory: string
  readonly logFile: string
  /** The postmaster. */
  readonly pid: number
  /** It ran already when the cluster was started. */
  readonly adopted: boolean
  /** At the start; roles change. */
  readonly initialRole: 'primary' | 'replica'
}
