import { PIN } from '../memory/client-slots.ts'
import { type Lexer, TOKEN } from './lexer.ts'
import { serverIdentifier } from './server-identifier.ts'
import type { SettingScan } from './setting-scan.ts'
import { FACT } from './statement-effects.ts'
import { meaningOf, W } from './statement-words.ts'

/** What `read` returns of a command behind whose words nothing matters. */
export const NO_EXPRESSIONS = -1

/** As in COPY, a name comes first, and what is in parentheses behind it is no call. */
const NAME_FIRST = W.copy

/**
 * Reads commands that say in their first words what they do to the session: transaction control, channels, prepared
 * statements, DISCARD. Those for settings it leaves to a `SettingScan`.
 */
export class CommandScan {
  readonly #lexer: Lexer
  readonly #settings: SettingScan
  #bytes: Uint8Array = new Uint8Array(0)
  /** PIN and FACT bits, since `begin`. */
  pins = 0
  flags = 0
  /** One of them writes, although its first word says nothing of the kind: it ends a prepared transaction. */
  writes = false
  /** Where the name in the last PREPARE, EXECUTE or DEALLOCATE is; it may be quoted. */
  nameStart = 0
  nameStop = 0
  /** All of these names: the FACT bit of each, where it starts, and where it stops. */
  readonly names: number[] = []
  /** Channels that LISTEN names, as the server will know them. */
  readonly channels: string[] = []

  /** `lexer`, which `settings` has too, is moved on over what is read. */
  constructor(lexer: Lexer, settings: SettingScan) {
    this.#lexer = lexer
    this.#settings = settings
  }

  /** A new text. */
  begin(): void {
    this.pins = 0
    this.flags = 0
    this.writes = false
    // Even to what it is already, V8 sets a length through its runtime.
    if (this.channels.length !== 0) this.channels.length = 0
    if (this.names.length !== 0) this.names.length = 0
  }

  /** The piece of it that the lexer goes on with. */
  use(bytes: Uint8Array): void {
    this.#bytes = bytes
  }

  /**
   * The statement whose first word, at which the lexer is, means `first`. Returns how the rest of it is to be scanned for
   * expressions, as `ExpressionScan.statement` wants to know; `NO_EXPRESSIONS`: not at all.
   */
  read(first: number): number {
    switch (first) {
      case W.begin:
      case W.start:
        this.flags |= FACT.begins
        break
      case W.commit:
        this.#end(FACT.commits)
        break
      case W.rollback:
        this.#end(FACT.rollsBack)
        break
      case W.set:
        this.#settings.set()
        break
      case W.reset:
        this.#settings.reset()
        break
      case W.prepare:
        if (this.#preparesTransaction()) break
        this.pins |= PIN.sqlPrepare
        this.#noteName(FACT.prepares)
        return NAME_FIRST
      case W.ends:
        this.flags |= FACT.frees
        break
      case W.drop:
        this.flags |= FACT.frees
        return W.ddl
      case W.deallocate:
      case W.discard:
        this.flags |= FACT.frees
        this.#discard(first)
        break
      case W.execute:
        this.#execute()
        return first
      case W.listen:
        this.#listen()
        break
      case W.unlisten:
        this.flags |= FACT.unlistens | FACT.frees
        break
      case W.load:
        this.pins |= PIN.load
        break
      case W.doBlock:
        this.flags |= FACT.defines
        this.pins |= PIN.unknownFunction
        break
      case W.call:
        this.pins |= PIN.unknownFunction
        break
      default:
        return first
    }
    return NO_EXPRESSIONS
  }

  #meaning(): number {
    return meaningOf(this.#lexer, this.#bytes)
  }

  #listen(): void {
    const lexer = this.#lexer
    this.pins |= PIN.listen
    this.flags |= FACT.listens
    const kind = lexer.next()
    if (kind === TOKEN.word || kind === TOKEN.quotedName) {
      this.channels.push(serverIdentifier(Buffer.from(this.#bytes.subarray(lexer.start, lexer.stop)).toString('utf8')))
    }
  }

  /** PREPARE TRANSACTION 'id' ends a transaction and leaves nothing in the session; the rest prepare statements. */
  #preparesTransaction(): boolean {
    this.#lexer.next()
    if (this.#meaning() !== W.transaction || this.#lexer.next() !== TOKEN.string) return false
    this.flags |= FACT.preparesTransaction
    return true
  }

  /** COMMIT, ROLLBACK [WORK | TRANSACTION] [AND [NO] CHAIN]; not ROLLBACK … TO name, COMMIT PREPARED, ROLLBACK PREPARED. */
  #end(flag: number): void {
    let what = flag === FACT.rollsBack ? flag | FACT.undoes : flag
    while (this.#lexer.next() === TOKEN.word) {
      const meaning = this.#meaning()
      if (meaning === W.prepared) {
        what = 0
        this.writes = true
      }
      if (meaning === W.to) {
        what &= FACT.undoes
        break
      }
    }
    this.flags |= what
  }

  /** DEALLOCATE [PREPARE] name | ALL, DISCARD ALL | PLANS | SEQUENCES | TEMP. */
  #discard(first: number): void {
    this.#lexer.next()
    const meaning = this.#meaning()
    if (first === W.discard) {
      if (meaning === W.all) this.flags |= FACT.discardsAll
      if (meaning === W.sequences) this.flags |= FACT.discardsSequences
      return
    }
    if (meaning === W.prepare) this.#lexer.next()
    if (this.#meaning() === W.all) this.flags |= FACT.deallocatesAll
    else this.#noteName(FACT.deallocates)
  }

  #execute(): void {
    this.#lexer.next()
    this.#noteName(FACT.executes)
    this.#lexer.next()
  }

  #noteName(flag: number): void {
    this.flags |= flag
    this.nameStart = this.#lexer.start
    this.nameStop = this.#lexer.stop
    this.names.push(flag, this.nameStart, this.nameStop)
  }
}
