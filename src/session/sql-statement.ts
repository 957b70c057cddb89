/** A statement that a session has prepared with PREPARE. */
export interface SqlStatement {
  readonly name: string
  /** The whole text that was sent, with whatever else was in it. */
  readonly text: string
  /** Of its parameters and of its result, as the server writes them. */
  readonly types: string
}

/** Cannot be in any text of a statement. */
const SEPARATOR = '\x01'

/**
 * A query whose rows are kind `q`, the name and the rest of each statement that was prepared with PREPARE, in hexadecimal UTF-8;
 * `hexOf` makes such a value.
 */
export function sqlStatementsSql(hexOf: (value: string) => string): string {
  const types = (column: string): string => `coalesce(${column}::pg_catalog.text,'')`
  const value = ['statement', types('parameter_types'), types('result_types')].join(
    ` OPERATOR(pg_catalog.||) E'\\x01' OPERATOR(pg_catalog.||) `,
  )
  return `SELECT 'q',${hexOf('name')},${hexOf(value)} FROM pg_catalog.pg_prepared_statements WHERE from_sql`
}

/** One such row, decoded. */
export function readSqlStatement(name: string, value: string): SqlStatement {
  const [text = '', ...types] = value.split(SEPARATOR)
  return { name, text, types: types.join(' ') }
}
