import { PIN } from '../memory/client-slots.ts'
import { type CalledFunction, FunctionCalls } from './function-calls.ts'
import type { ParseTree } from './postgres-parser.ts'
import { INTENT, type Intent, intentOfStatement } from './statement-intent.ts'

/** What a parsed text does, as far as it stands in the text. */
export interface TreeFacts {
  /** PIN bits, without those of functions in `calls`. `setting`: set_config is called, for longer than the transaction. */
  readonly pins: number
  /** FACT bits of what is called: `readsSequence` and `frees`. */
  readonly flags: number
  /** How often set_config is called. */
  readonly settingCalls: number
  /** Functions that are not built in, or that nobody knows to be harmless; each once. */
  readonly calls: readonly CalledFunction[]
  /** What the words of its statements and the built-in functions tell; `calls` may do anything. */
  readonly intent: Intent
  /** Objects are created, changed or dropped, maybe functions. */
  readonly defines: boolean
  /** Something in it reads or writes rows; false: it defines objects, or is about its session. */
  readonly runs: boolean
  /** It is nothing but SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES. */
  readonly isPlain: boolean
  /** It is one CREATE FUNCTION or PROCEDURE. */
  readonly isFunction: boolean
  /** Tables or views that are named, or what may be one, such as a query of WITH; each once. */
  readonly relations: readonly NamedRelation[]
}

/** A table or view as a text names it. `schema` null: any that search_path finds first. */
export interface NamedRelation {
  readonly schema: string | null
  readonly name: string
}

type Node = Readonly<Record<string, unknown>>

/** CURSOR_OPT_HOLD (src/include/nodes/parsenodes.h). */
const CURSOR_HOLD = 0x20
const TEMP_SCHEMA = 'pg_temp'
const SETTINGS = 'pg_settings'
const PINNING: Readonly<Record<string, number>> = {
  ListenStmt: PIN.listen,
  LoadStmt: PIN.load,
  PrepareStmt: PIN.sqlPrepare,
  DoStmt: PIN.unknownFunction,
}
const PLAIN = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])
/** `AlterSystemStmt` and the like touch nothing that a session has looked up. */
const DEFINING = /^(Create|Alter|Drop|Define|Rename|Rule|View|Comment|Import|Do)/

/**
 * What the parse tree of a text says, by looking at every node of it: functions that are called wherever they may be, names of
 * temporary objects, statements that leave something behind. Operators and casts may call functions too; they are not looked up.
 */
export function treeFacts(tree: ParseTree): TreeFacts {
  const walk = new TreeWalk()
  let intent: Intent = INTENT.none
  let defines = false
  let runs = false
  let isPlain = true
  let isFunction = Array.isArray(tree.stmts) && tree.stmts.length === 1
  const statements = tree.stmts
  for (const entry of Array.isArray(statements) ? (statements as Node[]) : []) {
    const statement = (entry.stmt ?? {}) as Node
    const [kind] = Object.keys(statement)
    if (kind === undefined) continue
    const wrote = walk.statement(statement)
    const needs = wrote ? INTENT.write : intentOfStatement(kind, statement[kind] as Node)
    intent = Math.max(intent, needs) as Intent
    defines ||= DEFINING.test(kind)
    runs ||= needs !== INTENT.none && (kind === 'CreateTableAsStmt' || !DEFINING.test(kind))
    // EXPLAIN DECLARE … makes no cursor.
    if (kind === 'DeclareCursorStmt') walk.cursor(statement[kind] as Node)
    isPlain &&= PLAIN.has(kind)
    isFunction &&= kind === 'CreateFunctionStmt'
  }
  const { pins, calls, makesTable } = walk
  const { flags, settingCalls, unknown } = calls
  isPlain &&= !makesTable
  return {
    pins,
    flags,
    settingCalls,
    calls: unknown,
    intent,
    defines,
    runs,
    isPlain,
    isFunction,
    relations: walk.relations,
  }
}

class TreeWalk {
  readonly calls = new FunctionCalls()
  pins = 0
  /** SELECT … INTO is among the statements. */
  makesTable = false
  readonly #relations = new Map<string, NamedRelation>()
  #writes = false

  get relations(): readonly NamedRelation[] {
    return [...this.#relations.values()]
  }

  /** Every node below; returns whether one of them writes, locks rows, or belongs on the primary. */
  statement(root: Node): boolean {
    this.#writes = false
    // Not by recursion: the depth of a tree is the client's choice.
    const kinds: string[] = ['']
    const nodes: unknown[] = [root]
    while (nodes.length > 0) {
      const kind = kinds.pop() as string
      const node = nodes.pop()
      if (typeof node !== 'object' || node === null) continue
      if (Array.isArray(node)) {
        for (const member of node) {
          kinds.push('')
          nodes.push(member)
        }
        continue
      }
      this.#node(kind, node as Node)
      for (const key in node) {
        const value = (node as Node)[key]
        if (typeof value !== 'object') continue
        kinds.push(key)
        nodes.push(value)
      }
    }
    return this.#writes || this.calls.takeWrites()
  }

  #call(node: Node): void {
    const pins = this.calls.add(namesOf(node.funcname), node.funcformat === 'COERCE_SQL_SYNTAX')
    this.pins |= isLocal(node) ? pins & ~PIN.setting : pins
  }

  #relation(schemaname: unknown, name: string): void {
    const relation = { schema: typeof schemaname === 'string' ? schemaname : null, name }
    this.#relations.set(JSON.stringify(relation), relation)
  }

  cursor(node: Node): void {
    if (((node.options as number) & CURSOR_HOLD) !== 0) this.pins |= PIN.holdCursor
  }

  #node(kind: string, node: Node): void {
    this.pins |= PINNING[kind] ?? 0
    switch (kind) {
      case 'FuncCall':
      case 'funccall':
        this.#call(node)
        break
      case 'String':
        if (node.sval === TEMP_SCHEMA) this.pins |= PIN.temporaryObject
        break
      case 'VariableSetStmt':
        if (node.name === 'seed') this.pins |= PIN.randomSeed
        break
      case 'UpdateStmt':
        // A rule of that view calls set_config.
        if ((node.relation as Node | undefined)?.relname === SETTINGS) this.pins |= PIN.setting
        this.#writes = true
        break
      case 'InsertStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
      case 'LockingClause':
        this.#writes = true
        break
      case 'intoClause':
        this.#writes = true
        this.makesTable = true
        break
    }
    if (typeof node.relname === 'string') this.#relation(node.schemaname, node.relname)
    if (node.relpersistence === 't' || node.schemaname === TEMP_SCHEMA) {
      this.pins |= PIN.temporaryObject
    }
  }
}

/** set_config(…, …, true): gone at the end of the transaction. */
function isLocal({ args }: Node): boolean {
  if (!Array.isArray(args)) return false
  const value = (args[2] as Node | undefined)?.A_Const as Node | undefined
  return (value?.boolval as Node | undefined)?.boolval === true
}

/** The parts of a qualified name. */
function namesOf(list: unknown): readonly string[] {
  if (!Array.isArray(list)) return []
  return (list as Node[]).map((part) => String((part.String as Node | undefined)?.sval ?? ''))
}
