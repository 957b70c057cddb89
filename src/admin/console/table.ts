/** Column types that the console sends; whole numbers that may pass 2³¹ are int8. */
export type ColumnType = 'text' | 'int4' | 'int8' | 'float8' | 'bool'

export interface Column {
  readonly name: string
  readonly type: ColumnType
}

/** Numbers of int columns are whole; the encoder rounds what is not. */
export type Value = string | number | boolean | null
export type Row = readonly Value[]

/** One column of a table over items of type T, with the way to its value. */
export interface Field<T> extends Column {
  readonly of: (item: T) => Value
}

export const text = <T>(name: string, of: (item: T) => string | null): Field<T> => ({ name, type: 'text', of })
export const int4 = <T>(name: string, of: (item: T) => number | null): Field<T> => ({ name, type: 'int4', of })
export const int8 = <T>(name: string, of: (item: T) => number | null): Field<T> => ({ name, type: 'int8', of })
export const float8 = <T>(name: string, of: (item: T) => number | null): Field<T> => ({ name, type: 'float8', of })
export const bool = <T>(name: string, of: (item: T) => boolean | null): Field<T> => ({ name, type: 'bool', of })

/** Rows made one at a time as they are read, so that a table of every client never exists as a whole. */
export function* rowsOf<T>(fields: readonly Field<T>[], items: Iterable<T>): Generator<Row> {
  for (const item of items) yield fields.map((field) => field.of(item))
}
