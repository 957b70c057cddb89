import fc from 'fast-check'
import { type Statement, statement } from './statement.ts'

const begin: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('BEGIN', 'begins', 'control'),
  statement('BEGIN', 'begins', 'control'),
  statement('start transaction isolation level repeatable read', 'begins', 'control', 'isolates'),
  statement('BEGIN READ ONLY', 'begins', 'control'),
)

const end: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('COMMIT', 'control'),
  statement('COMMIT', 'control'),
  statement('END', 'control'),
  statement('ROLLBACK', 'control'),
  statement('ROLLBACK', 'control'),
  statement('ABORT', 'control'),
  statement('COMMIT AND CHAIN', 'begins', 'control'),
  statement('ROLLBACK AND CHAIN', 'begins', 'control'),
  statement("COMMIT PREPARED 'none such'", 'control'),
)

const savepoint: fc.Arbitrary<Statement> = fc
  .tuple(fc.constantFrom('SAVEPOINT', 'ROLLBACK TO', 'ROLLBACK TO SAVEPOINT', 'RELEASE'), fc.constantFrom('a', 'b'))
  .map(([verb, name]) => statement(`${verb} ${name}`, 'control'))

const failure: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('SELEC 1'),
  statement('SELECT 1/0'),
  statement('SELECT no_such_column FROM item'),
  statement('SELECT * FROM no_such_table'),
  statement("INSERT INTO item (owner, note) VALUES (:me, 'bad')"),
  statement("INSERT INTO fixed VALUES (1, 'again')"),
  statement("SELECT complain('a hint', 'a detail')", 'pins'),
  statement("SELECT 'x'::int"),
  statement('RELEASE nothing_of_that_name'),
  statement('SELECT '),
)

/** BEGIN to COMMIT with everything between that makes one interesting. */
export const transactionStatement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 5, arbitrary: begin },
  { weight: 6, arbitrary: end },
  { weight: 3, arbitrary: savepoint },
  { weight: 3, arbitrary: failure },
)
