import type { ByteStream } from './byte-stream.ts'
import type { LinkHost } from './link-host.ts'
import type { ReadAheadTarget } from './read-ahead.ts'
import { READ_BYTES, READ_HEADROOM, type ReadBuffers } from './read-buffers.ts'
import { FAILED, WOULD_BLOCK } from './socket.ts'
import type { StepParticipant, Steps } from './steps.ts'

/** Results of `Link.read` besides a byte count. */
export const LINK_END = 0
export const LINK_EMPTY = WOULD_BLOCK
export const LINK_FAILED = FAILED

/** Whoever is read from, with its slot's `slotMark`. */
interface ReadParticipant extends StepParticipant, ReadAheadTarget {
  readonly mark: number
}

/** One read of `stream` into a buffer that stays as it is until the step is committed; see `ByteStream.receive`. */
export function readStream({ readAhead, reads, steps }: LinkHost, link: ReadParticipant, stream: ByteStream): number {
  const came = link.aheadAt < 0 ? 0 : readAhead.take(link)
  if (came > 0) {
    steps.received(link)
    return came
  }
  if (stream.isCarried) return readCarried(reads, steps, link, stream)
  reads.claim(link.mark, stream.bytesRead)
  const count = stream.receive(reads.current, READ_HEADROOM, READ_BYTES)
  if (count > 0) steps.received(link)
  else reads.unclaim()
  return count
}

/** The same with TLS whose keys outlive the process: what is read stays as it is, and so does what is made of it. */
function readCarried(reads: ReadBuffers, steps: Steps, link: ReadParticipant, stream: ByteStream): number {
  const before = stream.bytesRead
  const sealed = reads.claimTwo(link.mark, before)
  const count = stream.receiveCarried(sealed, READ_HEADROOM, reads.current, READ_HEADROOM, READ_BYTES)
  if (count > 0 || stream.bytesRead > before) steps.received(link)
  else reads.unclaimTwo()
  return count
}
