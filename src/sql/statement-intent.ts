/** What a text needs of the server that runs it, in rising order: nothing, any copy of the data, the primary. */
export const INTENT = { none: 0, read: 1, write: 2 } as const
export type Intent = (typeof INTENT)[keyof typeof INTENT]

type Node = Readonly<Record<string, unknown>>

/** Statements about the session or its transaction, which run wherever that is. */
const NEUTRAL = new Set([
  'TransactionStmt',
  'VariableSetStmt',
  'DeallocateStmt',
  'DiscardStmt',
  'ClosePortalStmt',
  'ConstraintsSetStmt',
  'PrepareStmt',
])
/** Statements that read, as long as nothing below them writes. FETCH moves on in a cursor that was declared before. */
const READING = new Set(['SelectStmt', 'VariableShowStmt', 'DeclareCursorStmt', 'FetchStmt'])

/**
 * The intent of a statement in which no INSERT, UPDATE, DELETE, MERGE, row lock or SELECT INTO was found. `node` is what
 * stands under `kind` in the parse tree. Statements that are not known write.
 */
export function intentOfStatement(kind: string, node: Node): Intent {
  if (READING.has(kind)) return INTENT.read
  if (kind === 'TransactionStmt') return isTwoPhase(node) ? INTENT.write : INTENT.none
  if (NEUTRAL.has(kind)) return INTENT.none
  if (kind === 'ExplainStmt') return intentOfExplained(node)
  // To the client, from a table or query. A file or a program is this server's own.
  if (kind === 'CopyStmt') return node.is_from !== true && node.filename === undefined ? INTENT.read : INTENT.write
  return INTENT.write
}

/** EXPLAIN runs a statement only with ANALYZE, but plans CREATE TABLE AS and EXECUTE as well. */
function intentOfExplained(node: Node): Intent {
  const query = (node.query ?? {}) as Node
  const [kind] = Object.keys(query)
  return kind === undefined ? INTENT.write : intentOfStatement(kind, query[kind] as Node)
}

/** PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED. */
function isTwoPhase(node: Node): boolean {
  return String(node.kind).includes('PREPARE')
}
