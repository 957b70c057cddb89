import { Region } from '../memory/region.ts'
import { Link } from './link.ts'
import type { LinkFields, LinkHost, LinkOwner } from './link-host.ts'
import type { OwnedFd } from './owned-fd.ts'

const RECORD_BYTES = 128

/** The fields of a record that has nothing but a link. Without sections: nobody goes on with it. */
export const UNRECORDED_FIELDS: LinkFields = {
  outboxHandle: 0,
  outboxStart: 1,
  outboxBytes: 2,
  inboxHandle: 4,
  inboxBytes: 5,
  sections: 0,
  bytesRead: 8,
  bytesWritten: 9,
}

/** A record for one such link, in this process's own memory. */
export function unrecordedRegion(): Region {
  return new Region(new ArrayBuffer(RECORD_BYTES), 0, RECORD_BYTES, 1)
}

/** A link that has no slot in shared memory, and ends with this process: it owns `fd` from now on. */
export function openUnrecordedLink(host: LinkHost, owner: LinkOwner, fd: OwnedFd): Link {
  return new Link(host, owner, unrecordedRegion(), 0, UNRECORDED_FIELDS, fd)
}
