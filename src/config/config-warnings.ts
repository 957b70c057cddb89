import { X509Certificate } from 'node:crypto'
import { rulePlace } from '../shard/tier-rule.ts'
import type { PemFile } from './referenced-file.ts'
import { isMd5Verifier } from './schema/names.ts'
import type { Config } from './schema.ts'

const soonMs = 14 * 86_400_000

/** What is allowed but probably not meant, one sentence each. `nowMs`: since 1970. */
export function configWarnings(config: Config, nowMs: number): readonly string[] {
  return [
    ...certificateWarnings('client_tls.certificate', config.clientTls.certificate, nowMs),
    ...certificateWarnings('server_tls.certificate', config.serverTls.certificate, nowMs),
    ...unusedTlsWarning(config),
    ...md5Warnings(config),
    ...poolWarnings(config),
    ...reservationWarnings(config),
    ...ruleWarnings(config),
  ]
}

function certificateWarnings(key: string, file: PemFile | null, nowMs: number): readonly string[] {
  if (file === null) return []
  const end = Date.parse(new X509Certificate(file.text).validTo)
  if (end - nowMs > soonMs) return []
  const day = new Date(end).toISOString().slice(0, 10)
  return [`${key}: the certificate ${end < nowMs ? 'expired' : 'expires'} on ${day}; renew it and RELOAD.`]
}

function unusedTlsWarning({ clientTls }: Config): readonly string[] {
  if (clientTls.mode !== 'disable' || clientTls.certificate === null) return []
  return ['client_tls.mode is "disable" although there is a certificate; write mode = "allow" to offer TLS.']
}

function md5Warnings({ users, hba }: Config): readonly string[] {
  return users
    .filter(({ name, password }) => {
      const rules = hba.filter(({ user }) => user.includes('all') || user.includes(name))
      const isStuck = rules.every(({ method }) => method === 'scram-sha-256' || method === 'reject')
      return password !== null && isMd5Verifier(password) && isStuck
    })
    .map(
      ({ name }) =>
        `users.${name}: an md5 verifier cannot be used with scram-sha-256, and no access rule lets this user in with ` +
        'another method; store a SCRAM verifier, or add an [[auth.hba]] rule with method = "md5".',
    )
}

/** Percentages alone are checked by `checkTiers`. */
function reservationWarnings(config: Config): readonly string[] {
  const { tierHigh, tierMedium, tierLow, tierBackground } = config
  return config.shards.flatMap(({ name, slots, maxConnections }) => {
    const all = slots ?? maxConnections
    const reserved = [tierHigh, tierMedium, tierLow, tierBackground]
      .map((tier) => tier.reserved)
      .map((share) => (share.endsWith('%') ? Math.floor((Number.parseInt(share, 10) * all) / 100) : Number(share)))
    const sum = reserved.reduce((total, share) => total + share, 0)
    if (sum <= all) return []
    return [
      `The tiers reserve ${sum} slots of each shard together, but shards.${name} has ${all}, so that not every tier gets ` +
        'its own; lower the reserved of one of them, or write percentages.',
    ]
  })
}

/** `*` in a pattern is what only a `*` of another one matches, so a pattern that matches it as a text matches all that it does. */
function ruleWarnings({ tierRules }: Config): readonly string[] {
  return tierRules.flatMap((rule, index) => {
    const before = rulePlace(tierRules.slice(0, index), rule)
    if (before < 0) return []
    return [
      `tiers.rules[${index}] never holds, because tiers.rules[${before}] matches all of its clients and the first rule that ` +
        `matches holds; write it above that one.`,
    ]
  })
}

function poolWarnings({ databases, shards, pool }: Config): readonly string[] {
  return databases.flatMap(({ entry, group, poolSize }) => {
    const size = poolSize ?? pool.size
    const small = shards.find((shard) => shard.group === group && shard.maxConnections < size)
    if (small === undefined) return []
    return [
      `databases.${entry}: its pools may have ${size} server connections, but shards.${small.name}.max_connections is ` +
        `${small.maxConnections}; clients will wait for that instead.`,
    ]
  })
}
