import { type BackendSignals, FATAL } from '../client/client-host.ts'
import type { ClientSession } from '../client/client-session.ts'
import { cancelWaiting } from '../client/request-rejection.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { AbandonedWork } from './abandoned-work.ts'
import { CancelRequest } from './cancel-request.ts'
import type { Plane } from './plane.ts'

const TERMINATED = FATAL('57P01', 'terminating connection due to administrator command')

const NOTHING = (): void => {}

/** How clients of a plane interrupt what others do, by what those were told at login, and the plane what a shard does. */
export class ClientSignals implements BackendSignals {
  readonly #plane: Plane
  readonly #abandoned: AbandonedWork

  constructor(plane: Plane) {
    this.#plane = plane
    this.#abandoned = new AbandonedWork(plane)
  }

  cancelByKey(processId: number, key: Buffer, over: () => void): void {
    const { record, sessions } = this.#plane
    record.add('cancels')
    const session = sessions.findByCancelKey(processId, key)
    if (session) this.#cancel(session, over)
    else over()
  }

  signalClient(slot: number, processId: number, terminates: boolean): boolean {
    const { sessions } = this.#plane
    const target = sessions.findByProcessId(processId)
    if (target === null || target.user !== sessions.at(slot)?.user) return false
    // What its server did with that could come too late, and hit its next statement.
    if (target.slot === slot && !terminates) return false
    if (terminates) target.close('pg_terminate_backend', TERMINATED)
    else this.#cancel(target, NOTHING)
    return true
  }

  cancelServer(server: ServerConnection): void {
    CancelRequest.send(this.#plane, server)
  }

  cancelAbandoned(server: ServerConnection): void {
    this.#abandoned.cancel(server)
  }

  /** What clients of this process's predecessor have left behind. `open`: its server connections that are there still. */
  takeOverAbandoned(open: Iterable<ServerConnection>): void {
    this.#abandoned.takeOver(open)
  }

  #cancel(session: ClientSession, over: () => void): void {
    this.#plane.analyzer.profiles.cancelled(session.slot)
    if (!cancelWaiting(session) && session.server) CancelRequest.send(this.#plane, session.server, over)
    else over()
  }
}
