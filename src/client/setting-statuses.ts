import { writeParameterStatus } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { Restored } from './session-settings.ts'

const writer = new MessageWriter()

/** ParameterStatus of those settings that the server reports; valid until the next call. */
export function statusesOf(restored: Restored, server: ServerConnection): Uint8Array {
  writer.reset()
  for (const [name, value] of restored) {
    const shown = server.identity.reportedName(name)
    if (shown !== null && value !== null) writeParameterStatus(writer, shown, value)
  }
  return writer.bytes
}
