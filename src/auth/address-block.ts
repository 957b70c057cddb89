import { isIPv4, isIPv6 } from 'node:net'

/** A set of IP addresses with a common prefix. `bytes` has 4 bytes (IPv4) or 16 (IPv6). */
export interface AddressBlock {
  readonly bytes: Uint8Array
  readonly prefixBits: number
}

const mappedPrefix = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])

/**
 * An IPv4 or IPv6 address as bytes, or null. An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`), which is what a
 * dual-stack listener reports, is the IPv4 address. A zone (`%eth0`) is ignored, as `pg_hba.conf` has none.
 */
export function parseAddress(text: string): Uint8Array | null {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number)
  const [address = ''] = text.split('%')
  if (!isIPv6(address)) return null
  const bytes = ipv6Bytes(address)
  return isMapped(bytes) ? bytes.subarray(mappedPrefix.length) : bytes
}

/**
 * A CIDR block (`10.0.0.0/8`, `fd00::/8`), or one address, or null. Bits after the prefix do not count. An IPv4-mapped
 * block is the IPv4 block.
 */
export function parseAddressBlock(text: string): AddressBlock | null {
  const [address = '', length, ...rest] = text.split('/')
  const bytes = address.includes('%') ? null : parseAddress(address)
  if (bytes === null || rest.length > 0) return null
  const writtenBits = isIPv6(address) ? 128 : 32
  if (length !== undefined && !/^(0|[1-9][0-9]{0,2})$/.test(length)) return null
  const prefixBits = length === undefined ? writtenBits : Number(length)
  if (prefixBits > writtenBits) return null
  const dropped = writtenBits - bytes.length * 8
  // A mapped address with a shorter prefix covers more than IPv4: it is the IPv6 block it says.
  return prefixBits < dropped ? { bytes: ipv6Bytes(address), prefixBits } : { bytes, prefixBits: prefixBits - dropped }
}

/** Whether the block holds the address, both from this file. Blocks of one family never hold the other's. */
export function blockContains(block: AddressBlock, address: Uint8Array): boolean {
  if (block.bytes.length !== address.length) return false
  const whole = block.prefixBits >> 3
  for (let i = 0; i < whole; i++) if (block.bytes[i] !== address[i]) return false
  const rest = block.prefixBits & 7
  return rest === 0 || ((block.bytes[whole] ?? 0) ^ (address[whole] ?? 0)) >> (8 - rest) === 0
}

/** `text` is a valid IPv6 address, perhaps with an IPv4 tail. */
function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::')
  const before = groupBytes(head)
  const after = tail === undefined ? [] : groupBytes(tail)
  const bytes = new Uint8Array(16)
  bytes.set(before)
  bytes.set(after, 16 - after.length)
  return bytes
}

function groupBytes(groups: string): number[] {
  return groups.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group || '0', 16)
    return [value >> 8, value & 0xff]
  })
}

function isMapped(bytes: Uint8Array): boolean {
  return mappedPrefix.every((byte, index) => bytes[index] === byte)
}
