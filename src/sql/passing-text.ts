import { PIN } from '../memory/client-slots.ts'
import { type Effects, FACT } from './statement-effects.ts'
import { StatementFacts } from './statement-facts.ts'

/** What is not known yet of a text that streams: what it reads of sequences would have to be cleared away before. */
export const UNSEEN: Effects = {
  pins: 0,
  flags: FACT.readsSequence,
  settings: [],
  values: [],
  channels: [],
  calls: null,
}

/** What may be assumed of a statement whose text is not known any more. */
export const TEXT_LOST: Effects = { ...UNSEEN, pins: PIN.undecidedStatement }

const NOTHING = Buffer.alloc(0)
/** Where what was kept and what has come are put together; grows to the largest of the latter. */
let scratch = Buffer.alloc(0)

/** A text too long to be seen whole, which is looked at as it passes. Keeps at most what `StatementFacts.goOn` wants again. */
export class PassingText {
  /** Of what has passed; complete after the last piece. */
  readonly facts: StatementFacts = new StatementFacts(null)
  #kept = NOTHING

  constructor() {
    this.facts.begin()
  }

  /** `bytes[start, end)` comes next. */
  pass(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    const { length } = this.#kept
    if (length === 0) {
      this.#keep(bytes, this.facts.goOn(bytes, start, end, isLast), end)
      return
    }
    const size = length + end - start
    if (scratch.length < size) scratch = Buffer.allocUnsafe(size)
    this.#kept.copy(scratch)
    bytes.copy(scratch, length, start, end)
    this.#keep(scratch, this.facts.goOn(scratch, 0, size, isLast), size)
  }

  #keep(bytes: Buffer, from: number, end: number): void {
    this.#kept = from === end ? NOTHING : Buffer.from(bytes.subarray(from, end))
  }
}
