import { ConfigError, RouterError } from '../errors.ts'
import type { HbaRule } from '../shard/plane-values.ts'
import type { AddressBlock } from './address-block.ts'
import { blockContains, parseAddress, parseAddressBlock } from './address-block.ts'

/** What the rules are asked about: one connection that has sent its startup packet. */
export interface HbaConnection {
  readonly tls: boolean
  /** Came through a Unix socket; `address` is then null. */
  readonly unix: boolean
  readonly address: string | null
  readonly database: string
  readonly user: string
  /** Physical replication (`replication=true`): such a connection has no database. */
  readonly replication: boolean
}

/** The access rules with their addresses parsed; make it with `compileHba`. */
export interface CompiledHba {
  readonly rules: readonly CompiledRule[]
}

interface CompiledRule {
  readonly rule: HbaRule
  /** Null: every address. */
  readonly blocks: readonly AddressBlock[] | null
}

const loopback = ['127.0.0.0/8', '::1/128'].flatMap((text) => parseAddressBlock(text) ?? [])

/**
 * Checks the rules and parses their addresses, once per configuration.
 * @throws ConfigError with a sentence that names the rule, what is wrong and what to write.
 */
export function compileHba(rules: readonly HbaRule[]): CompiledHba {
  return { rules: rules.map(compileRule) }
}

/**
 * The first rule that matches, or null: then the connection is rejected with `hbaRejection`. The matching is that of
 * `pg_hba.conf`: `all` and `sameuser` never mean a physical replication connection, only `replication` does, and
 * `replication` means nothing else. https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
 */
export function chooseHbaRule(hba: CompiledHba, connection: HbaConnection): HbaRule | null {
  const address = connection.address === null ? null : parseAddress(connection.address)
  const chosen = hba.rules.find(
    ({ rule, blocks }) =>
      isTypeMatched(rule, connection) &&
      (connection.unix || isAddressMatched(blocks, address)) &&
      rule.databases.some((name) => isDatabaseMatched(name, connection)) &&
      rule.users.some((name) => name === 'all' || name === connection.user),
  )
  return chosen?.rule ?? null
}

/** What the client is told when no rule matched (null) or the one that did says `reject`. PostgreSQL's words. */
export function hbaRejection(rule: HbaRule | null, connection: HbaConnection): RouterError {
  const { tls, unix, address, user, database, replication } = connection
  const from = `host "${unix ? '[local]' : (address ?? '???')}", user "${user}"`
  const where = replication ? from : `${from}, database "${database}"`
  const encryption = tls ? 'SSL encryption' : 'no encryption'
  const kind = replication ? 'replication connection' : 'connection'
  const message =
    rule === null
      ? `no pg_hba.conf entry for ${replication ? 'replication connection from ' : ''}${where}, ${encryption}`
      : `pg_hba.conf rejects ${kind} for ${where}, ${encryption}`
  return new RouterError('28000', message, { origin: 'client' })
}

function isTypeMatched(rule: HbaRule, connection: HbaConnection): boolean {
  switch (rule.type) {
    case 'local':
      return connection.unix
    case 'host':
      return !connection.unix
    case 'hostssl':
      return !connection.unix && connection.tls
    case 'hostnossl':
      return !connection.unix && !connection.tls
  }
}

function isAddressMatched(blocks: readonly AddressBlock[] | null, address: Uint8Array | null): boolean {
  if (blocks === null) return true
  return address !== null && blocks.some((block) => blockContains(block, address))
}

function isDatabaseMatched(name: string, connection: HbaConnection): boolean {
  if (connection.replication || name === 'replication') return connection.replication && name === 'replication'
  if (name === 'all') return true
  if (name === 'sameuser') return connection.database === connection.user
  return name === connection.database
}

function compileRule(rule: HbaRule): CompiledRule {
  const say = (sentence: string) => new ConfigError(`hba rule ${rule.line}: ${sentence}`)
  checkNames(rule, say)
  checkMethod(rule, say)
  if (rule.type === 'local') return { rule, blocks: null }
  if (rule.addresses.length === 0) {
    throw say(`a "${rule.type}" rule needs addresses; write "all", or CIDR blocks such as "10.0.0.0/8" and "fd00::/8".`)
  }
  if (rule.addresses.includes('all')) {
    if (isForLoopbackOnly(rule)) throw say(loopbackSentence(rule, 'all'))
    return { rule, blocks: null }
  }
  return { rule, blocks: rule.addresses.map((text) => compileBlock(text, rule, say)) }
}

function checkNames(rule: HbaRule, say: (sentence: string) => ConfigError): void {
  if (rule.databases.length === 0) throw say('it has no databases; write "all", or the names it is for.')
  if (rule.users.length === 0) throw say('it has no users; write "all", or the names it is for.')
  for (const name of [...rule.databases, ...rule.users]) {
    if (name === '') throw say('it has an empty name; write "all", or the names it is for.')
    if (name === 'samerole' || name === 'samegroup' || name.startsWith('+')) {
      throw say(`"${name}" asks for role membership, which only a shard knows; list the names, or write "all".`)
    }
    if (name.startsWith('/') || name.startsWith('@')) {
      throw say(`"${name}" is a pattern or a file, which are not read here; list the names, or write "all".`)
    }
  }
}

function checkMethod(rule: HbaRule, say: (sentence: string) => ConfigError): void {
  if (rule.method === 'cert' && rule.type !== 'hostssl') {
    throw say(`method "cert" needs a client certificate, so the type must be "hostssl", not "${rule.type}".`)
  }
}

function compileBlock(text: string, rule: HbaRule, say: (sentence: string) => ConfigError): AddressBlock {
  const block = parseAddressBlock(text)
  if (block === null) {
    throw say(`"${text}" is not an address; write "all", or a CIDR block such as "10.0.0.0/8" or "fd00::/8".`)
  }
  if (isForLoopbackOnly(rule) && !loopback.some((outer) => isInside(block, outer))) {
    throw say(loopbackSentence(rule, text))
  }
  return block
}

function isInside(block: AddressBlock, outer: AddressBlock): boolean {
  return block.prefixBits >= outer.prefixBits && blockContains(outer, block.bytes)
}

/** `trust` lets anybody in as anybody; `password` shows the password to whoever listens, unless TLS is certain. */
function isForLoopbackOnly(rule: HbaRule): boolean {
  return rule.method === 'trust' || (rule.method === 'password' && rule.type !== 'hostssl')
}

function loopbackSentence(rule: HbaRule, address: string): string {
  const remedy = rule.method === 'trust' ? 'the method "scram-sha-256"' : 'the type "hostssl"'
  return (
    `method "${rule.method}" in a "${rule.type}" rule is for loopback addresses only, not "${address}"; write the ` +
    `addresses "127.0.0.0/8" and "::1/128", or ${remedy}.`
  )
}
