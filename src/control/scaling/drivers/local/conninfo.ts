/** One `keyword = value` of a connection string; a value may be quoted: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING */
const PAIR = /\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)+)/y

/** A replica's `primary_conninfo` with another place in it; everything else (user, passfile, TLS) stays. */
export function movedConnInfo(text: string, place: { readonly host: string; readonly port: number }): string {
  const kept: string[] = []
  PAIR.lastIndex = 0
  for (let pair = PAIR.exec(text); pair !== null; pair = PAIR.exec(text)) {
    const keyword = pair[1]?.toLowerCase()
    if (keyword !== 'host' && keyword !== 'hostaddr' && keyword !== 'port') kept.push(`${keyword}=${pair[2]}`)
  }
  const host = place.host.replace(/[\\']/g, '\\$&')
  return [`host='${host}'`, `port=${place.port}`, ...kept].join(' ')
}
