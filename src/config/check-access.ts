import { isLoopback } from './network-address.ts'
import type { ConfigProblems } from './problems.ts'
import type { Config, HbaConfig } from './schema.ts'

/** What must hold in and between `[admin]`, `[auth]`, `[[auth.hba]]` and `[[users]]`. */
export function checkAccess(config: Config, problems: ConfigProblems): void {
  checkUsers(config, problems)
  checkConsoleUsers(config, problems)
  checkAuthQuery(config, problems)
  if (problems.touches('auth.hba')) return
  for (const [index, rule] of config.hba.entries()) checkRule(rule, `auth.hba[${index}]`, config, problems)
}

function checkUsers({ users }: Config, problems: ConfigProblems): void {
  if (problems.touches('users')) return
  const firstOf = new Map<string, number>()
  for (const [index, { name }] of users.entries()) {
    const first = firstOf.get(name)
    if (first === undefined) {
      firstOf.set(name, index)
      continue
    }
    problems.add(
      `users[${index}].name`,
      `users[${index}].name is ${JSON.stringify(name)}, but users[${first}] has the same name; remove one of them.`,
    )
  }
}

function checkConsoleUsers({ admin, users, auth }: Config, problems: ConfigProblems): void {
  if (problems.touches('users', 'admin', 'auth.query') || auth.query !== null) return
  for (const [key, names] of [
    ['users', admin.users],
    ['stats_users', admin.statsUsers],
  ] as const) {
    for (const name of names.filter((each) => !users.some((user) => user.name === each))) {
      problems.add(
        `admin.${key}`,
        `admin.${key} names ${JSON.stringify(name)}, but no [[users]] has that name and auth.query is not set; ` +
          `write [[users]] with name = ${JSON.stringify(name)} and a password.`,
      )
    }
  }
}

function checkAuthQuery({ auth, databases }: Config, problems: ConfigProblems): void {
  if (problems.touches('auth.query', 'auth.query_user', 'auth.query_database')) return
  if (auth.query !== null && auth.queryUser === null) {
    problems.add(
      'auth.query_user',
      'auth.query_user is missing, and must be set because auth.query is; write for example query_user = "switchyard".',
    )
  }
  const name = auth.queryDatabase
  const isKnown = databases.length === 0 || databases.some(({ entry }) => entry === name || entry === '*')
  if (name !== null && !isKnown && !problems.touches('databases')) {
    problems.add(
      'auth.query_database',
      `auth.query_database is ${JSON.stringify(name)}, but there is no such database; ` +
        `write [databases.${JSON.stringify(name)}], or name one of those.`,
    )
  }
}

function checkRule(rule: HbaConfig, place: string, config: Config, problems: ConfigProblems): void {
  const complain = (key: string, sentence: string): void => problems.add(`${place}.${key}`, `${place}${sentence}`)
  const isEverywhere = rule.address.length === 1 && rule.address[0] === 'all'
  const farAddress = rule.type === 'local' ? undefined : rule.address.find((each) => !isLoopback(each))
  if (rule.address.length === 0 || rule.database.length === 0 || rule.user.length === 0) {
    complain('address', ' has an empty array, so it would match nobody; write "all", or remove the rule.')
    return
  }
  if (rule.type === 'local' && !isEverywhere) {
    complain(
      'address',
      '.address is set, but a rule of type "local" is for the Unix socket, which has none; remove it.',
    )
  }
  if (rule.type === 'hostssl' && config.clientTls.mode === 'disable' && !problems.touches('client_tls')) {
    complain(
      'type',
      '.type is "hostssl", but client_tls.mode is "disable", so it would match nobody; set client_tls.mode = "allow".',
    )
  }
  if (rule.method === 'trust' && farAddress !== undefined) {
    complain(
      'method',
      `.method is "trust", but its address ${JSON.stringify(farAddress)} reaches beyond this machine; trust is for type = "local" ` +
        'and for loopback addresses, so write address = [ "127.0.0.1", "::1" ], or method = "scram-sha-256".',
    )
  }
  if (rule.method === 'password' && farAddress !== undefined && rule.type !== 'hostssl') {
    complain(
      'method',
      `.method is "password", but with type = "${rule.type}" the password would cross the network in clear text; ` +
        'write type = "hostssl", or method = "scram-sha-256".',
    )
  }
  if (rule.method === 'cert') checkCertificateRule(rule, config, problems, complain)
}

function checkCertificateRule(
  rule: HbaConfig,
  { clientTls }: Config,
  problems: ConfigProblems,
  complain: (key: string, sentence: string) => void,
): void {
  if (rule.type !== 'hostssl') {
    complain(
      'method',
      `.method is "cert", but type is "${rule.type}"; only TLS has certificates, so write type = "hostssl".`,
    )
  } else if (clientTls.ca === null && !problems.touches('client_tls')) {
    complain('method', '.method is "cert", but client_tls.ca is not set; write ca = "client-ca.crt" in [client_tls].')
  }
}
