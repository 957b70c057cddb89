import { RouterError } from '../../errors.ts'

/** PostgreSQL reports these at login and when they change; drivers rely on some of them. */
const REPORTED = [
  'application_name',
  'client_encoding',
  'DateStyle',
  'default_transaction_read_only',
  'in_hot_standby',
  'integer_datetimes',
  'IntervalStyle',
  'is_superuser',
  'search_path',
  'server_encoding',
  'server_version',
  'session_authorization',
  'standard_conforming_strings',
  'TimeZone',
] as const

/** Settings that drivers set or read at login. The console has no use for them; it only remembers. */
const DEFAULTS: Readonly<Record<string, string>> = {
  application_name: '',
  bytea_output: 'hex',
  client_encoding: 'UTF8',
  client_min_messages: 'notice',
  DateStyle: 'ISO, MDY',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  extra_float_digits: '1',
  idle_in_transaction_session_timeout: '0',
  in_hot_standby: 'off',
  integer_datetimes: 'on',
  IntervalStyle: 'postgres',
  is_superuser: 'off',
  jit: 'off',
  lock_timeout: '0',
  max_identifier_length: '63',
  row_security: 'on',
  search_path: '',
  server_encoding: 'UTF8',
  server_version_num: '180000',
  standard_conforming_strings: 'on',
  statement_timeout: '0',
  TimeZone: 'UTC',
  transaction_isolation: 'read committed',
  transaction_read_only: 'off',
}

const READ_ONLY = new Set(['in_hot_standby', 'integer_datetimes', 'is_superuser', 'server_encoding', 'server_version'])
const CANONICAL = new Map([...Object.keys(DEFAULTS), ...REPORTED].map((name) => [name.toLowerCase(), name]))

/** A setting's name as PostgreSQL spells it, whatever the case asked for; null when the console has none of that name. */
export function settingName(name: string): string | null {
  return CANONICAL.get(name.toLowerCase()) ?? null
}

/** The PostgreSQL settings that a console session pretends to have, so that drivers find what they look for. */
export class SessionSettings {
  readonly #values: Map<string, string>

  /** @param version of Switchyard; the part before it is for drivers that compare server versions. */
  constructor(version: string, user: string, applicationName: string) {
    this.#values = new Map(Object.entries(DEFAULTS))
    this.#values.set('server_version', `18.0 (switchyard ${version})`)
    this.#values.set('session_authorization', user)
    this.#values.set('application_name', applicationName)
  }

  /** What ParameterStatus says at login. */
  reported(): readonly (readonly [name: string, value: string])[] {
    return REPORTED.map((name) => [name, this.get(name)])
  }

  /** The value of a setting by its canonical name. */
  get(name: string): string {
    return this.#values.get(name) ?? ''
  }

  /**
   * Remembers a value. Returns the canonical name when PostgreSQL would report the change, else null.
   * Throws for a setting that is not PostgreSQL's (`42704`): somebody means Switchyard's configuration.
   */
  set(name: string, value: string): string | null {
    const canonical = settingName(name)
    if (canonical === null) throw unknownSetting(name)
    if (READ_ONLY.has(canonical)) {
      throw new RouterError('55P02', `The parameter "${canonical}" cannot be changed.`, { origin: 'client' })
    }
    if (canonical === 'client_encoding' && !/^'?utf-?8'?$|^unicode$/i.test(value)) {
      throw new RouterError('22023', 'The console speaks UTF8 only.', { origin: 'client' })
    }
    this.#values.set(canonical, canonical === 'client_encoding' ? 'UTF8' : value)
    return (REPORTED as readonly string[]).includes(canonical) ? canonical : null
  }
}

function unknownSetting(name: string): RouterError {
  return new RouterError('42704', `The console has no parameter "${name}".`, {
    origin: 'client',
    hint: 'To configure Switchyard, edit its configuration file and give RELOAD; SHOW CONFIG lists the settings.',
  })
}
