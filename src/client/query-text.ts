import type { NativeBuffer } from '../io/native.ts'
import { PassingText } from '../sql/passing-text.ts'
import { type Effects, FACT, type StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'

/** What is not known yet of a text that streams: what it reads of sequences would have to be cleared away before. */
const UNSEEN: Effects = { pins: 0, flags: FACT.readsSequence, settings: [], values: [], channels: [] }

/** The text of the Query at hand, whose body may be too long to be seen whole. */
export class QueryText {
  readonly #host: ClientHost
  #passing: PassingText | null = null

  constructor(host: ClientHost) {
    this.#host = host
  }

  /** The rest of it is still to come. */
  get isPassing(): boolean {
    return this.#passing !== null
  }

  /** A new one: `source[start, end)` is there, `stop` is where the message ends. Returns the facts of what is there. */
  begin(source: NativeBuffer, start: number, stop: number, end: number): StatementFacts {
    if (stop <= end) {
      this.#passing = null
      this.#host.facts.read(source.bytes, start, stop - 1)
      return this.#host.facts
    }
    this.#passing = new PassingText()
    this.#passing.pass(source.bytes, start, end, false)
    return this.#passing.facts
  }

  /** What may be assumed of it, before it has been seen whole: what is still to come may be anything. */
  effects(facts: StatementFacts): Effects {
    return this.#passing === null ? facts : UNSEEN
  }

  /** `source[at, stop)` comes next; returns the facts of the whole after the last piece, null before. */
  pass(source: NativeBuffer, at: number, stop: number, isLast: boolean): StatementFacts | null {
    const passing = this.#passing
    if (passing === null) return null
    passing.pass(source.bytes, at, isLast ? stop - 1 : stop, isLast)
    if (!isLast) return null
    this.#passing = null
    return passing.facts
  }

  /** The rest of it goes nowhere. */
  abandon(): void {
    this.#passing = null
  }
}
