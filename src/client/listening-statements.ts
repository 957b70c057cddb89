import { type Effects, FACT, type StatementFacts } from '../sql/statement-facts.ts'

/** Whatever may change what a session listens to. */
const LISTENING = FACT.listens | FACT.unlistens | FACT.discardsAll

export function concernsListening(effects: Effects): boolean {
  return (effects.flags & LISTENING) !== 0
}

/** Prepared statements of one session that change what it listens to: they do so when they are bound again, too. */
export class ListeningStatements {
  /** By the client's name, '' is the unnamed one: the channels of their LISTENs. Null: there never was one. */
  #channels: Map<string, readonly string[]> | null = null

  get isEmpty(): boolean {
    return this.#channels === null || this.#channels.size === 0
  }

  /** A Parse is sent; the name is at `bytes[start, stop)`. */
  note(bytes: Buffer, start: number, stop: number, facts: StatementFacts): void {
    const listens = concernsListening(facts)
    if (!listens && this.isEmpty) return
    const name = bytes.toString('utf8', start, stop)
    this.#channels ??= new Map()
    if (listens) this.#channels.set(name, [...facts.channels])
    else this.#channels.delete(name)
  }

  /** Of the statement that a Bind whose body is `bytes[start, end)` names; null: it does nothing of the kind. */
  bound(bytes: Buffer, start: number, end: number): readonly string[] | null {
    const portalEnd = bytes.indexOf(0, start)
    const nameEnd = portalEnd < 0 || portalEnd >= end ? -1 : bytes.indexOf(0, portalEnd + 1)
    if (nameEnd < 0 || nameEnd >= end) return null
    return this.#channels?.get(bytes.toString('utf8', portalEnd + 1, nameEnd)) ?? null
  }
}
