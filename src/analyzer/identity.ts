import type { IdentityNames } from '../memory/identity-records.ts'

const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g
/** Four numbers, or what may follow an @: hosts differ from one copy of a program to the next. */
const ADDRESS = /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g
const HOST = /@[a-z0-9.-]+/g
/** Runs of hexadecimal digits with a digit in them: container ids, commits. */
const HEX_RUN = /\b(?=[a-f]*\d)[0-9a-f]{7,}\b/g
const DIGITS = /\d+/g
const MOST_BYTES = 63

/**
 * What many copies and runs of one program have in common in their `application_name`: lower case, with UUIDs, addresses,
 * hosts, hexadecimal runs and digits as `#`. Empty stays empty.
 */
export function normaliseApplication(name: string): string {
  const text = name
    .toLowerCase()
    .replace(UUID, '#')
    .replace(ADDRESS, '#')
    .replace(HOST, '@#')
    .replace(HEX_RUN, '#')
    .replace(DIGITS, '#')
    .replace(/#(?:[-_.:]?#)+/g, '#')
    .trim()
  let end = text.length
  while (Buffer.byteLength(text.slice(0, end)) > MOST_BYTES) end--
  return text.slice(0, end)
}

/** The /24 of an IPv4 address, the /64 of an IPv6 one, `local` for a Unix socket; what is none stays as it is. */
export function subnetOf(address: string, isUnix: boolean): string {
  if (isUnix || address === '') return 'local'
  const mapped = address.startsWith('::ffff:') ? address.slice(7) : address
  const v4 = /^(\d+\.\d+\.\d+)\.\d+$/.exec(mapped)
  if (v4 !== null) return `${v4[1]}.0/24`
  if (!mapped.includes(':')) return mapped
  const [head = '', tail] = mapped.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...new Array<string>(Math.max(0, missing)).fill('0'), ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

/** One text for one identity. */
export function identityKey({ user, database, application, subnet }: IdentityNames): string {
  return `${user}\0${database}\0${application}\0${subnet}`
}

/** One text for user and application, which are what a role is used for. */
export function pairKey({ user, application }: Pick<IdentityNames, 'user' | 'application'>): string {
  return `${user}\0${application}`
}
