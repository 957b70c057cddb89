import { stringify } from 'smol-toml'

const bareKey = /^[A-Za-z0-9_-]+$/

/** `name` as a part of a dotted TOML key: quoted where TOML wants it (`"*"`). */
export function keyPart(name: string): string {
  return bareKey.test(name) ? name : JSON.stringify(name)
}

/** The full name of a key: `databases.shop` + `pool_size` → `databases.shop.pool_size`. */
export function keyPath(section: string, name: string): string {
  return section === '' ? keyPart(name) : `${section}.${keyPart(name)}`
}

/** `name = value`, ready to be pasted into the file. */
export function assignment(name: string, value: unknown): string {
  return stringify({ [name]: value }).trim()
}

/** The value as it stands in a file: `"30s"`, `[ "127.0.0.1" ]`. */
export function literal(value: unknown): string {
  return assignment('v', value).slice('v = '.length)
}
