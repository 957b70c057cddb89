import { LONGEST_PARSED } from '../../sql/postgres-parser.ts'

/** Functions of one's own and of extensions. */
const OWN = `pronamespace OPERATOR(pg_catalog.<>) ALL (SELECT oid FROM pg_catalog.pg_namespace
  WHERE nspname IN ('pg_catalog', 'information_schema') OR nspname LIKE 'pg\\_t%')`

/**
 * One row, one column: changes whenever a function, or what may call one unseen, does. Rows are told apart by where they are and
 * who wrote them, which every change alters.
 */
export const VERSION_SQL = `SELECT pg_catalog.concat_ws('/', ${[
  `pg_proc WHERE ${OWN}`,
  ...[
    'pg_rewrite',
    'pg_trigger',
    'pg_attrdef',
    'pg_constraint',
    'pg_policy',
    'pg_operator',
    'pg_cast',
    'pg_type',
    'pg_index',
  ],
  ...['pg_extension', 'pg_namespace', 'pg_aggregate', 'pg_opclass', 'pg_event_trigger', 'pg_inherits'],
]
  .map(
    (from) =>
      `(SELECT pg_catalog.concat(count(*), '-', sum(pg_catalog.hashtextextended(pg_catalog.concat(ctid, xmin), 0))) FROM pg_catalog.${from})`,
  )
  .join(', ')}) AS version`

/** One row for each function, as `FunctionRow` has it, but for more than `$1` of them. */
export const FUNCTIONS_SQL = `SELECT p.oid::text AS oid, n.nspname::text AS schema, p.proname::text AS name,
  l.lanname::text AS language, p.prokind::text AS kind, p.provolatile::text AS volatility, e.extname::text AS extension,
  CASE WHEN pg_catalog.octet_length(p.prosrc) > ${LONGEST_PARSED} THEN NULL
    WHEN l.lanname = 'plpgsql' OR (l.lanname = 'sql' AND p.prosqlbody IS NOT NULL) THEN pg_catalog.pg_get_functiondef(p.oid)
    WHEN l.lanname = 'sql' THEN p.prosrc END AS source,
  pg_catalog.pg_get_expr(p.proargdefaults, 0) AS defaults,
  (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(pn.nspname, part.proname)), '[]')
    FROM pg_catalog.pg_aggregate a
    CROSS JOIN LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn), (a.aggserialfn), (a.aggdeserialfn),
      (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) AS made (oid)
    JOIN pg_catalog.pg_proc part ON part.oid = made.oid::oid JOIN pg_catalog.pg_namespace pn ON pn.oid = part.pronamespace
    WHERE a.aggfnoid = p.oid) AS parts
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
WHERE p.${OWN} LIMIT $1`
