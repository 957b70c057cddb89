import { accepted, notAllowed, type ValueType } from './value-type.ts'

const percentPattern = /^(?:100|\d{1,2})%$/

/** A number of a shard's slots, or a percentage of them: `4`, `"25%"`. Its value is the text that one would write. */
export const slotShare: ValueType<string> = {
  unit: '',
  allowed: 'a whole number of slots, or a percentage of the shard’s slots such as "25%"',
  secret: false,
  jsonSchema: {
    anyOf: [
      { type: 'integer', minimum: 0 },
      { type: 'string', pattern: percentPattern.source },
    ],
  },
  read: (found) => {
    if (typeof found === 'number' && Number.isInteger(found) && found >= 0 && found <= 100_000) {
      return accepted(String(found))
    }
    return typeof found === 'string' && percentPattern.test(found) ? accepted(found) : notAllowed
  },
  show: (value) => value,
}
