/** The JSON Schema (draft 2020-12) of one value, as far as this project uses it. */
export type JsonSchema = { readonly [keyword: string]: unknown }

/** What a value is counted in; becomes the end of its property name in `Config` (`queryWaitMs`). */
export type Unit = '' | 'Ms' | 'Bytes'

/** What reading a value may need from outside of the value. */
export interface ReadContext {
  /** Where relative paths start: the directory of the configuration file. */
  readonly directory: string
  /** The text of a file that the configuration points at; throws Node's error when it cannot be read. */
  readonly readFile: (path: string) => string
}

/** `because` completes "is 5, but …"; null stands for "it must be" + what the type allows. */
export type Reading<V> =
  | { readonly ok: true; readonly value: V }
  | { readonly ok: false; readonly because: string | null }

/** One kind of value: how it is read from TOML, shown to people, and described to editors. */
export interface ValueType<V, U extends Unit = ''> {
  readonly unit: U
  /** Completes "it must be …". */
  readonly allowed: string
  /** True: never printed, neither in messages nor in `SHOW CONFIG`. */
  readonly secret: boolean
  readonly jsonSchema: JsonSchema
  /** All that is allowed, where that is a handful of words. */
  readonly words?: readonly string[]
  read(found: unknown, context: ReadContext): Reading<V>
  /** As an operator would write it, without quotes. */
  show(value: V): string
}

export const notAllowed: Reading<never> = { ok: false, because: null }

/** A reading that fails for a reason that the type's `allowed` does not tell. */
export function refused(because: string): Reading<never> {
  return { ok: false, because }
}

/** A reading that succeeds. */
export function accepted<V>(value: V): Reading<V> {
  return { ok: true, value }
}

/** A text of at least one character that `matches` accepts. */
export function text(allowed: string, pattern: RegExp, maxBytes = 1024): ValueType<string> {
  return {
    unit: '',
    allowed,
    secret: false,
    jsonSchema: { type: 'string', pattern: pattern.source },
    read: (found) =>
      typeof found === 'string' && pattern.test(found) && Buffer.byteLength(found) <= maxBytes
        ? accepted(found)
        : notAllowed,
    show: (value) => value,
  }
}

/** A text that is never shown. What is read from `NAME_file` counts as if it stood here. */
export function secret(allowed: string, isAllowed: (value: string) => boolean): ValueType<string> {
  return {
    unit: '',
    allowed,
    secret: true,
    jsonSchema: { type: 'string', minLength: 1 },
    read: (found) =>
      typeof found === 'string' && found !== '' && !found.includes('\0') && isAllowed(found)
        ? accepted(found)
        : notAllowed,
    show: () => '********',
  }
}

/** A whole number in a closed range. `zero` says what 0 means, where it means more than the number. */
export function integer(minimum: number, maximum: number, zero?: string): ValueType<number> {
  return {
    unit: '',
    allowed: `a whole number from ${minimum} to ${maximum}${zero === undefined ? '' : ` (0 = ${zero})`}`,
    secret: false,
    jsonSchema: { type: 'integer', minimum, maximum },
    read: (found) =>
      typeof found === 'number' && Number.isInteger(found) && found >= minimum && found <= maximum
        ? accepted(found)
        : notAllowed,
    show: (value) => String(value),
  }
}

/** Permissions of a file, written in octal as a text. */
export const fileMode: ValueType<number> = {
  unit: '',
  allowed: 'file permissions as an octal text such as "0770"',
  secret: false,
  jsonSchema: { type: 'string', pattern: '^0?[0-7]{3}$' },
  read: (found) =>
    typeof found === 'string' && /^0?[0-7]{3}$/.test(found) ? accepted(Number.parseInt(found, 8)) : notAllowed,
  show: (value) => value.toString(8).padStart(4, '0'),
}

/** One of a few words. */
export function choice<const W extends string>(...words: readonly W[]): ValueType<W> {
  return {
    unit: '',
    allowed: `one of ${words.map((word) => JSON.stringify(word)).join(', ')}`,
    secret: false,
    jsonSchema: { enum: words },
    words,
    read: (found) => {
      const word = words.find((each) => each === found)
      return word === undefined ? notAllowed : accepted(word)
    },
    show: (value) => value,
  }
}

/** An array of `item`; where `single` is set, one value stands for an array of one. */
export function list<V>(
  item: ValueType<V>,
  form: { readonly allowed: string; readonly single: boolean },
): ValueType<readonly V[]> {
  const array: JsonSchema = { type: 'array', items: item.jsonSchema }
  return {
    unit: '',
    allowed: form.allowed,
    secret: item.secret,
    jsonSchema: form.single ? { anyOf: [item.jsonSchema, array] } : array,
    read: (found, context) => {
      if (!Array.isArray(found) && !form.single) return notAllowed
      const values: V[] = []
      for (const [index, each] of (Array.isArray(found) ? found : [found]).entries()) {
        const reading = item.read(each, context)
        if (!reading.ok) return Array.isArray(found) ? refusedItem(index, item, reading.because) : reading
        values.push(reading.value)
      }
      return accepted(Object.freeze(values))
    },
    show: (values) => values.map((value) => item.show(value)).join(', '),
  }
}

function refusedItem(index: number, item: ValueType<unknown>, because: string | null): Reading<never> {
  return refused(`its item ${index + 1} ${because === null ? `must be ${item.allowed}` : `is wrong: ${because}`}`)
}
