import { isIPv4, isIPv6 } from 'node:net'
import { AF_INET, AF_INET6, AF_UNIX } from './native.ts'

const UNIX_PATH_BYTES = 108
export const SOCKET_ADDRESS_BYTES = 2 + UNIX_PATH_BYTES

/** A peer or listener: `host` is numeric, or a path for Unix sockets (port 0). */
export interface SocketAddress {
  readonly family: typeof AF_INET | typeof AF_INET6 | typeof AF_UNIX
  readonly host: string
  readonly port: number
}

/** `host` is an IPv4 or IPv6 literal or an absolute path; throws for anything else (names are resolved elsewhere). */
export function parseSocketAddress(host: string, port: number): SocketAddress {
  if (host.startsWith('/')) {
    if (Buffer.byteLength(host) >= UNIX_PATH_BYTES) throw new Error(`socket path is longer than 107 bytes: ${host}`)
    return { family: AF_UNIX, host, port: 0 }
  }
  if (isIPv4(host)) return { family: AF_INET, host, port }
  if (isIPv6(host)) return { family: AF_INET6, host, port }
  throw new Error(`not a numeric address: ${host}`)
}

/** Writes `struct sockaddr_*` at the start of `target` (at least SOCKET_ADDRESS_BYTES) and returns its length. */
export function encodeSocketAddress(address: SocketAddress, target: Buffer): number {
  target.fill(0, 0, SOCKET_ADDRESS_BYTES)
  target.writeUInt16LE(address.family, 0)
  if (address.family === AF_UNIX) {
    return 2 + target.write(address.host, 2) + 1
  }
  target.writeUInt16BE(address.port, 2)
  if (address.family === AF_INET) {
    target.set(
      address.host.split('.').map((part) => Number(part)),
      4,
    )
    return 16
  }
  ipv6Groups(address.host).forEach((group, index) => {
    target.writeUInt16BE(group, 8 + index * 2)
  })
  return 28
}

/** Reads `struct sockaddr_*` of `length` bytes. IPv4-mapped IPv6 addresses come back as IPv4. */
export function decodeSocketAddress(source: Buffer, length: number): SocketAddress {
  const family = length >= 2 ? source.readUInt16LE(0) : AF_UNIX
  if (family === AF_INET) return { family, host: source.subarray(4, 8).join('.'), port: source.readUInt16BE(2) }
  if (family === AF_INET6) {
    const port = source.readUInt16BE(2)
    const mapped = source.readUInt16BE(18) === 0xffff && source.subarray(8, 18).every((byte) => byte === 0)
    if (mapped) return { family: AF_INET, host: source.subarray(20, 24).join('.'), port }
    const groups: string[] = []
    for (let at = 8; at < 24; at += 2) groups.push(source.readUInt16BE(at).toString(16))
    return { family, host: compressIpv6(groups), port }
  }
  const end = source.indexOf(0, 2)
  return {
    family: AF_UNIX,
    host: source.toString('utf8', 2, Math.max(2, Math.min(length, end < 0 ? length : end))),
    port: 0,
  }
}

function ipv6Groups(host: string): number[] {
  let text = host.split('%')[0] ?? host
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  if (dotted) {
    const [, head, a, b, c, d] = dotted
    text = `${head}${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`
  }
  const [left = '', right] = text.split('::')
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const start = parse(left)
  if (right === undefined) return start
  const tail = parse(right)
  return [...start, ...new Array<number>(8 - start.length - tail.length).fill(0), ...tail]
}

/** The longest run of zero groups, the first of several, becomes `::` (RFC 5952). */
function compressIpv6(groups: readonly string[]): string {
  let first = 0
  let longest = 0
  for (let at = 0, run = 0; at < groups.length; at++) {
    run = groups[at] === '0' ? run + 1 : 0
    if (run <= longest) continue
    longest = run
    first = at + 1 - run
  }
  if (longest < 2) return groups.join(':')
  return `${groups.slice(0, first).join(':')}::${groups.slice(first + longest).join(':')}`
}
