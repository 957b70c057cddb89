import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import { accepted, notAllowed, refused, text, type ValueType } from './value-type.ts'

// RFC 1123 host name: labels of letters, digits and hyphens. Underscores are common in container names.
const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/
const onlyDigitsAndDots = /^[0-9.]+$/

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether every address of `block` (an IP address or CIDR block) is a loopback address. */
export function isLoopback(block: string): boolean {
  const [address = '', prefix] = block.split('/')
  if (isIPv4(address)) return Number(prefix ?? 32) >= 8 && loopback.check(address, 'ipv4')
  return isIPv6(address) && Number(prefix ?? 128) === 128 && loopback.check(address, 'ipv6')
}

/** Whether `host` is surely this machine: a loopback address, `localhost`, or the directory of a Unix socket. */
export function isLocalHost(host: string): boolean {
  return host.startsWith('/') || host.toLowerCase() === 'localhost' || isLoopback(host)
}

/** A numeric address to listen on. Names and `*` are refused with the address to write instead. */
export const listenAddress: ValueType<string> = {
  unit: '',
  allowed: 'an IPv4 or IPv6 address',
  secret: false,
  jsonSchema: { type: 'string', pattern: '^([0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$' },
  read: (found) => {
    if (found === '*')
      return refused('"*" is written "0.0.0.0" (every IPv4 address) or "::" (every IPv4 and IPv6 address)')
    if (found === 'localhost') return refused('"localhost" is written "127.0.0.1" or "::1"')
    return typeof found === 'string' && isIP(found) !== 0 && !found.includes('%') ? accepted(found) : notAllowed
  },
  show: (value) => value,
}

/** Where a shard is: a host name, an IP address, or the directory of its Unix socket. */
export const shardHost: ValueType<string> = {
  unit: '',
  allowed: 'a host name, an IP address, or the absolute directory of a Unix socket',
  secret: false,
  jsonSchema: { type: 'string', minLength: 1 },
  read: (found) => (typeof found === 'string' && isHost(found) ? accepted(found) : notAllowed),
  show: (value) => value,
}

function isHost(found: string): boolean {
  if (found.startsWith('/')) return !found.includes('\0')
  if (isIP(found) !== 0) return !found.includes('%')
  return hostName.test(found) && !onlyDigitsAndDots.test(found)
}

/** Client addresses of an access rule: `all`, an address, or a CIDR block. An address is completed to a block. */
export const addressBlock: ValueType<string> = {
  ...text('"all", an IP address, or a CIDR block such as "10.0.0.0/8"', /^(all|[0-9A-Fa-f:.]+(\/\d{1,3})?)$/),
  read: (found) => {
    if (found === 'all') return accepted(found)
    if (typeof found !== 'string') return notAllowed
    const [address = '', prefix, ...rest] = found.split('/')
    const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : 0
    if (bits === 0 || rest.length > 0 || address.includes('%')) return notAllowed
    if (prefix === undefined) return accepted(`${address}/${bits}`)
    return /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits ? accepted(`${address}/${Number(prefix)}`) : notAllowed
  },
}

/** The longest path of a Unix socket: `sun_path` has 108 bytes, one of them the closing NUL (unix(7)). */
const maxSocketPathBytes = 107

/** Whether PostgreSQL's socket file for `port` in `directory` has a path that the kernel accepts. */
export function fitsSocketPath(directory: string, port: number): boolean {
  return Buffer.byteLength(`${directory}/.s.PGSQL.${port}`) <= maxSocketPathBytes
}
