import type { LinkHost } from './link-host.ts'
import type { NativeBuffer } from './native.ts'
import type { BatchedSender } from './send-batch.ts'

/** Whose bytes they are. */
interface CopiedSender extends BatchedSender {
  readonly secure: boolean
  /** So many bytes of it are in `host.sends`. */
  hold(bytes: number): void
  write(source: NativeBuffer, start: number, end: number): boolean
}

/** Sends bytes that may change afterwards. False when the peer is gone, or no buffer is left for what it does not take. */
export function sendCopies(host: LinkHost, sender: CopiedSender, bytes: Uint8Array): boolean {
  const { sends } = host
  if (!sends.holdsBack || sender.secure || sender.blocked) return writeCopies(host, sender, bytes)
  const most = sends.mostKept
  for (let at = 0; at < bytes.length; at += most) {
    const part = bytes.length <= most ? bytes : bytes.subarray(at, at + most)
    if (!sends.keep(sender, part)) return writeCopies(host, sender, bytes.subarray(at))
    sender.hold(part.length)
  }
  return true
}

function writeCopies({ outbound }: LinkHost, sender: CopiedSender, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += outbound.size) {
    const part = bytes.subarray(at, at + outbound.size)
    outbound.bytes.set(part, 0)
    if (!sender.write(outbound, 0, part.length)) return false
  }
  return true
}
