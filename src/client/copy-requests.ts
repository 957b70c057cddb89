import { FRONTEND } from '../protocol/message-type.ts'
import type { RequestHandler } from './request-passage.ts'

/** CopyData, CopyDone or CopyFail. Without a server it is the rest of a COPY that has failed; PostgreSQL ignores it too. */
export const copyRequest: RequestHandler = (relay, source, at, stop, end) => {
  const { server } = relay.session
  if (server === null) return stop
  if (source.bytes[at] !== FRONTEND.copyData) server.relay.answers.endCopyIn()
  return relay.forward(source, at, stop, end)
}

/** A message that may not come while a COPY takes data: the server says so, in its own words, and ends the connection. */
export const strayRequest: RequestHandler = (relay, source, at, stop, end) => {
  const { server } = relay.session
  // Should the COPY have failed meanwhile, it is heeded, and nobody has taken note of what it does.
  if (server !== null) server.retired ??= 'a message came during COPY that may not'
  return relay.forward(source, at, stop, end)
}

/** A message of this type may not come while a COPY takes data. Terminate has an end of its own. */
export function breaksCopy(type: number): boolean {
  switch (type) {
    case FRONTEND.copyData:
    case FRONTEND.copyDone:
    case FRONTEND.copyFail:
    case FRONTEND.flush:
    case FRONTEND.sync:
    case FRONTEND.terminate:
      return false
    default:
      return true
  }
}
